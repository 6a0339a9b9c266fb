//! The table of methods.

/// What a method does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Lists units.
    ListUnits,
    /// Returns a unit.
    GetUnit,
    /// Makes a unit as wanted.
    PutUnit,
    /// Removes a unit.
    DeleteUnit,
    /// Says why a unit is where it is.
    ExplainUnit,
    /// Lists states.
    ListStates,
    /// Returns the state of a unit.
    GetState,
    /// Lists machines.
    ListMachines,
    /// Changes metadata.
    PatchMachines,
    /// Says whether a machine takes units.
    HoldMachine,
    /// Evens the load out.
    Rebalance,
    /// Describes the API.
    Discover,
    /// Shows metrics.
    Metrics,
}

/// A method of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// What it does.
    pub action: Action,
    /// Resource and name, as the discovery document has them.
    pub id: (&'static str, &'static str),
    /// HTTP's method.
    pub verb: &'static str,
    /// Path below a prefix; a segment in braces stands for any text.
    pub path: &'static str,
    /// Parameters of the query.
    pub query: &'static [Parameter],
    /// Schema of the request's body.
    pub request: Option<&'static str>,
    /// Schema of the answer's body.
    pub response: Option<&'static str>,
    /// One line that says what it does.
    pub description: &'static str,
}

/// A parameter of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Name.
    pub name: &'static str,
    /// `string` or `boolean`.
    pub kind: &'static str,
    /// What it is.
    pub description: &'static str,
}

const TOKEN: Parameter =
    Parameter { name: "nextPageToken", kind: "string", description: "What the page before gave." };
const MACHINE: Parameter =
    Parameter { name: "machineID", kind: "string", description: "Only states on this machine." };
const UNIT: Parameter =
    Parameter { name: "unitName", kind: "string", description: "Only states of this unit." };
const DRY_RUN: Parameter =
    Parameter { name: "dryRun", kind: "boolean", description: "Only say what would move." };

/// All methods.
pub static ROUTES: [Route; 12] = [
    Route {
        action: Action::ListUnits,
        id: ("Units", "List"),
        verb: "GET",
        path: "units",
        query: &[TOKEN],
        request: None,
        response: Some("UnitPage"),
        description: "Retrieve a page of units.",
    },
    Route {
        action: Action::GetUnit,
        id: ("Units", "Get"),
        verb: "GET",
        path: "units/{unitName}",
        query: &[],
        request: None,
        response: Some("Unit"),
        description: "Retrieve a unit.",
    },
    Route {
        action: Action::PutUnit,
        id: ("Units", "Set"),
        verb: "PUT",
        path: "units/{unitName}",
        query: &[],
        request: Some("Unit"),
        response: None,
        description: "Create a unit, replace its content or change its desired state.",
    },
    Route {
        action: Action::DeleteUnit,
        id: ("Units", "Delete"),
        verb: "DELETE",
        path: "units/{unitName}",
        query: &[],
        request: None,
        response: None,
        description: "Delete a unit, wherever it runs.",
    },
    Route {
        action: Action::ExplainUnit,
        id: ("Units", "Explain"),
        verb: "GET",
        path: "units/{unitName}/explain",
        query: &[],
        request: None,
        response: Some("Explanation"),
        description: "Say why a unit is where it is, or nowhere.",
    },
    Route {
        action: Action::ListStates,
        id: ("UnitState", "List"),
        verb: "GET",
        path: "state",
        query: &[TOKEN, UNIT, MACHINE],
        request: None,
        response: Some("UnitStatePage"),
        description: "Retrieve a page of the states of units on machines.",
    },
    Route {
        action: Action::GetState,
        id: ("UnitState", "Get"),
        verb: "GET",
        path: "state/{unitName}",
        query: &[],
        request: None,
        response: Some("UnitState"),
        description: "Retrieve the state of a unit; of one that is on several machines, that on the first.",
    },
    Route {
        action: Action::ListMachines,
        id: ("Machines", "List"),
        verb: "GET",
        path: "machines",
        query: &[TOKEN],
        request: None,
        response: Some("MachinePage"),
        description: "Retrieve a page of the machines that are alive.",
    },
    Route {
        action: Action::PatchMachines,
        id: ("Machines", "Patch"),
        verb: "PATCH",
        path: "machines",
        query: &[],
        request: Some("MachinePatch"),
        response: None,
        description: "Change the metadata of machines by JSON Patch, all or none.",
    },
    Route {
        action: Action::HoldMachine,
        id: ("Machines", "Hold"),
        verb: "PUT",
        path: "machines/{machineID}/hold",
        query: &[],
        request: Some("MachineHold"),
        response: None,
        description: "Say whether a machine takes units, and whether those that it has move away.",
    },
    Route {
        action: Action::Rebalance,
        id: ("Cluster", "Rebalance"),
        verb: "POST",
        path: "rebalance",
        query: &[DRY_RUN],
        request: None,
        response: Some("Moves"),
        description: "Move units so that all machines have about as many.",
    },
    Route {
        action: Action::Discover,
        id: ("Discovery", "Get"),
        verb: "GET",
        path: "discovery",
        query: &[],
        request: None,
        response: Some("RestDescription"),
        description: "Retrieve this document.",
    },
];

/// Metrics are shown to whoever scrapes them, not to clients of the API.
pub(super) static METRICS_ROUTES: [Route; 1] = [Route {
    action: Action::Metrics,
    id: ("Metrics", "Get"),
    verb: "GET",
    path: "metrics",
    query: &[],
    request: None,
    response: None,
    description: "Retrieve what is counted and measured.",
}];
