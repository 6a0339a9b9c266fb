//! What is on offer: the channel file fetched, believed or not, and compared with what runs.

use agent_support::sealed;
use anyhow::Context;
use payload::{Channel, ENVELOPE_MAX, Envelope, Kind};
use slots::Version;

use super::{Driver, Origin, Place, clock, load_settings, record_check};
use crate::machine::{Due, Event};
use crate::policy::{self, Offer, Refusal, Situation};
use crate::source::{Client, get_small};
use crate::state::{self, State};
use crate::{apply, failed, fetch, trust};
use http_get::Url;

/// Tries to get the channel file in one check; the next check is another.
const CHANNEL_TRIES: u32 = 3;

impl Driver<'_> {
    /// Asks for the offer and judges it.
    pub(super) fn check(&mut self) -> anyhow::Result<Event> {
        let res = match self.origin.clone() {
            Origin::Channel => self.check_channel(),
            Origin::Payload(place) => self.check_payload(place),
        };
        match res {
            Err(err) => match err.downcast_ref::<Refusal>().filter(|refusal| refusal.is_nothing_to_do()) {
                Some(refusal) => {
                    self.outcome.nothing = Some(refusal.to_string());
                    state::edit(self.host, |state| state.last_error.clear())?;
                    Ok(Event::NothingNew)
                }
                None => Err(err),
            },
            Ok(event) => Ok(event),
        }
    }

    fn check_channel(&mut self) -> anyhow::Result<Event> {
        let settings = load_settings(self.host, &self.reporter)?;
        let url = settings.channel_url().context(
            "no SERVER is set: name one in /etc/slipway/update.conf, or use `slipway-update apply --payload`",
        )?;
        let url = Url::parse(&url)?;
        let state = state::load(self.host)?;
        let trust = trust::load(self.host, &state)?;
        let bytes = self.fetch_channel(&url).with_context(|| format!("fetching {url}"))?;
        let read = || -> anyhow::Result<Channel> {
            let envelope = Envelope::parse(Kind::Channel, &bytes)?;
            let (expected, found) = (envelope.len, bytes.len());
            anyhow::ensure!(
                expected == found,
                "length: expected {expected} bytes, found {found}: something follows"
            );
            trust.verify(&envelope).context("checking the signatures")?;
            Ok(Channel::parse(envelope.body)?)
        };
        let channel = read().with_context(|| format!("reading the channel file {url}"))?;
        let product = sealed::image(self.host)?.product;
        for (field, expected, found) in
            [("product", &product, &channel.product), ("channel", &settings.channel, &channel.channel)]
        {
            anyhow::ensure!(
                expected == found,
                "channel file {url}: {field}: expected `{expected}`, found `{found}`"
            );
        }
        let seen = state.seen(&settings.channel);
        let clock = clock(self.host)?;
        channel.judge(clock.known(seen)).with_context(|| format!("channel file {url}"))?;
        // From here on it is believed, whatever becomes of its offer.
        let state = state::edit(self.host, |state| {
            let seen = state.channels.entry(settings.channel.clone()).or_default();
            seen.sequence = seen.sequence.max(channel.sequence);
            seen.issued = seen.issued.max(channel.issued);
        })?;
        let state = record_check(self.host).map(|after| State { last_check: after.last_check, ..state })?;
        let offered: Version = channel.version.parse().context("reading the version on offer")?;
        self.judge_offer(Offer { product: &channel.product, version: &offered }, &state)?;
        let places = channel.locations.iter().map(|location| url.join(location).map(Place::Web));
        self.work.places = places.collect::<Result<_, _>>().context("reading the places of the payload")?;
        let (due, now) = (channel.due(state.seed), clock.now(state.seen(&settings.channel)));
        self.work.channel = Some(channel);
        if due <= now {
            self.reporter.say(&format!("version {offered} is on offer"));
            return Ok(Event::Offered(offered, Due::Now));
        }
        self.reporter.say(&format!("version {offered} is on offer; this machine is due in {} s", due - now));
        self.outcome.due = Some(due);
        Ok(Event::Offered(offered, Due::Later))
    }

    fn check_payload(&mut self, place: Place) -> anyhow::Result<Event> {
        let state = state::load(self.host)?;
        let trust = trust::load(self.host, &state)?;
        let mut source = place.open(self.host, self.limits, &self.traffic)?;
        let head = fetch::head(source.as_mut(), &trust, None).with_context(|| format!("reading {place}"))?;
        let offer = Offer { product: &head.manifest.product, version: &head.version };
        self.judge_offer(offer, &state)?;
        self.work.places = vec![place.clone()];
        self.work.source = Some((place, source));
        Ok(Event::Offered(head.version, Due::Now))
    }

    /// Fetches the channel file; another try may help against a connection that broke.
    fn fetch_channel(&mut self, url: &Url) -> anyhow::Result<Vec<u8>> {
        let client = Client::new(self.host, self.limits, &self.traffic, url)?;
        let mut tries = 1;
        loop {
            let fetched = get_small(&client, url, ENVELOPE_MAX);
            self.reporter.traffic(self.traffic.bytes(), self.traffic.requests());
            match fetched {
                Err(err) if err.is_transient() && tries < CHANNEL_TRIES => {
                    tries += 1;
                    std::thread::sleep(self.limits.pause);
                }
                fetched => return Ok(fetched?),
            }
        }
    }

    /// Judges twice: the ESP, where failed versions are, is mounted only if something is on offer.
    fn judge_offer(&self, offer: Offer<'_>, state: &State) -> anyhow::Result<()> {
        let situation = self.situation()?;
        policy::judge_offer(offer, state, &situation)?;
        Ok(policy::judge_offer(offer, &failed::record(self.host)?, &situation)?)
    }

    /// What is known of the machine without its disk: enough for what a channel file says.
    fn situation(&self) -> anyhow::Result<Situation> {
        Ok(Situation {
            product: sealed::image(self.host)?.product,
            running: sealed::version(self.host)?.parse().context("reading the version that runs")?,
            root_hash: apply::running_root_hash(self.host)?,
            usr_size: 0,
            verity_size: 0,
            esp_free: 0,
        })
    }
}
