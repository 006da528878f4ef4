// The page's catalogue, and the few helpers with which modules touch the document.

const catalogue = JSON.parse(document.getElementById("words").textContent);

/** The text for `key`, with `{name}` filled from `values`; an unknown key shows itself. */
export function word(key, values = {}) {
  const text = catalogue[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Whether the catalogue has `key`. */
export const known = (key) => key in catalogue;

export const language = document.documentElement.lang;

/** The element with this id. */
export const at = (id) => document.getElementById(id);

/** A new element with properties and children. */
export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/** An instant as people here write it; empty for none. */
export function when(instant) {
  if (!instant) return "";
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(new Date(instant));
}

/** A day (`2026-04-06`) as people here write it; empty for none. */
export function day(date) {
  if (!date) return "";
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeZone: "UTC" }).format(new Date(date));
}

const SAID = {
  "sign-in-failed": "error.sign_in",
  "code-invalid": "error.code",
  "sign-in-blocked": "error.blocked",
  "too-many-requests": "error.blocked",
  "gateway-away": "error.gateway",
  "gateway-silent": "error.gateway",
  "login-taken": "error.login_taken",
  "seat-conflict": "error.seat",
  "signature-invalid": "error.signature",
  "code-mistyped": "error.mistyped",
  "record-unknown": "error.record_unknown",
  "role-not-named": "error.role_not_named",
  "coach-unpublished": "error.coach_unpublished",
  "coach-unproven": "error.coach_unproven",
  "other-key": "error.coach_unproven",
  "eval-cap": "error.eval_cap",
  "egress-limit": "error.egress_limit",
  "not-released": "error.not_released",
  "one-sided-not-evidence": "error.one_sided",
  "no-record-code": "error.no_record_code",
  "not-heard": "error.not_heard",
};

/** Show what went wrong, or (with nothing) that nothing is wrong any more. */
export function tellProblem(error) {
  const box = at("problem");
  box.hidden = !error;
  if (!error) return;
  const key = error.code === "offline" ? "error.offline" : SAID[error.code];
  box.textContent = key ? word(key) : word("error.generic", { detail: error.message });
  box.scrollIntoView({ block: "nearest" });
}

/**
 * Run `work` when the form is sent; its button rests meanwhile, a failure is told. Forms come disabled, so that none
 * can be sent by the browser itself, which would put a password into an address.
 */
export function onSubmit(form, work) {
  form.querySelector("fieldset").disabled = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter;
    if (button) button.disabled = true;
    tellProblem(null);
    try {
      await work(form);
    } catch (error) {
      tellProblem(error);
    } finally {
      if (button) button.disabled = false;
    }
  });
}
