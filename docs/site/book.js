// What the distribution's mdBook leaves out of its pages although they ask for it: the choice of a theme, the list of
// pages, colors in code, copying, and the arrow keys.
(function () {
    "use strict";

    const root = document.documentElement;
    const byId = (id) => document.getElementById(id);

    // A private window may keep nothing.
    function recall(key) {
        try {
            return localStorage.getItem(key);
        } catch (err) {
            return null;
        }
    }
    function remember(key, value) {
        try {
            if (value === null) {
                localStorage.removeItem(key);
            } else {
                localStorage.setItem(key, value);
            }
        } catch (err) {
            // The choice holds for this page.
        }
    }

    // Themes, and the colors of code in each.
    const themes = { light: "highlight", rust: "highlight", coal: "tomorrow-night", navy: "tomorrow-night", ayu: "ayu-highlight" };
    const dark = window.matchMedia("(prefers-color-scheme: dark)");
    const button = byId("theme-toggle");
    const list = byId("theme-list");
    let chosen = recall("mdbook-theme");

    function dress() {
        const kept = Object.hasOwn(themes, chosen) ? chosen : null;
        const theme = kept || (dark.matches ? default_dark_theme : default_light_theme);
        root.classList.remove(...Object.keys(themes));
        root.classList.add(theme);
        for (const name of new Set(Object.values(themes))) {
            byId(name + "-css").disabled = name !== themes[theme];
        }
        for (const item of list.querySelectorAll("button.theme")) {
            item.classList.toggle("theme-selected", item.id === (kept || "default_theme"));
        }
    }
    function showThemes(shown) {
        list.style.display = shown ? "block" : "none";
        button.setAttribute("aria-expanded", String(shown));
        if (shown) {
            list.querySelector("button.theme-selected").focus();
        }
    }
    const isShown = () => list.style.display === "block";

    button.addEventListener("click", () => showThemes(!isShown()));
    list.addEventListener("click", (event) => {
        const item = event.target.closest("button.theme");
        if (item) {
            chosen = item.id === "default_theme" ? null : item.id;
            remember("mdbook-theme", chosen);
            dress();
            showThemes(false);
            button.focus();
        }
    });
    document.addEventListener("click", (event) => {
        if (isShown() && !list.contains(event.target) && !button.contains(event.target)) {
            showThemes(false);
        }
    });
    dark.addEventListener("change", dress);
    dress();

    // The list of pages.
    const toggle = byId("sidebar-toggle-anchor");
    function showPages() {
        const state = toggle.checked ? "visible" : "hidden";
        root.classList.remove("sidebar-visible", "sidebar-hidden");
        root.classList.add("sidebar-" + state);
        byId("sidebar").setAttribute("aria-hidden", String(!toggle.checked));
        byId("sidebar-toggle").setAttribute("aria-expanded", String(toggle.checked));
        for (const link of document.querySelectorAll("#sidebar a")) {
            link.tabIndex = toggle.checked ? 0 : -1;
        }
        remember("mdbook-sidebar", state);
    }
    toggle.addEventListener("change", showPages);

    // Code: colors where the language is known, and a button that copies it.
    // The distribution keeps its old highlighter, which would tell every reader of its age.
    hljs.configure({ hideUpgradeWarningAcceptNoSupportOrSecurityUpdates: true });
    for (const code of document.querySelectorAll("main code")) {
        const language = Array.from(code.classList).find((name) => name.startsWith("language-"));
        if (language && hljs.getLanguage(language.slice("language-".length))) {
            hljs.highlightBlock(code);
        }
        code.classList.add("hljs");
    }
    for (const block of document.querySelectorAll("main pre")) {
        const buttons = document.createElement("div");
        buttons.className = "buttons";
        const copy = document.createElement("button");
        copy.className = "clip-button";
        copy.title = "Copy";
        copy.setAttribute("aria-label", "Copy");
        buttons.append(copy);
        block.prepend(buttons);
    }
    new ClipboardJS(".clip-button", { text: (copy) => copy.closest("pre").querySelector("code").textContent })
        .on("success", (event) => { event.trigger.title = "Copied"; });

    // Arrow keys lead to the pages before and behind.
    document.addEventListener("keydown", (event) => {
        const isTyping = event.target.closest("input, textarea, select");
        if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || isTyping) {
            return;
        }
        if (event.key === "Escape" && isShown()) {
            showThemes(false);
            button.focus();
        }
        const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
        const link = rel && !isShown() && document.querySelector("a.nav-chapters[rel~='" + rel + "']");
        if (link) {
            link.click();
        }
    });
})();
