// Security keys: the browser asks the key, and its answer is sent with the form. No form here works without a script.

const answers = {
  NotAllowedError: "The key did not answer, or the time was over. Try again.",
  InvalidStateError: "This key is registered for this account already.",
  SecurityError: "Security keys do not work at this address: open the registry by its name, over https.",
  AbortError: "It was cancelled. Try again.",
};

/** Says in the form what went wrong. */
function complain(form, error) {
  let note = form.querySelector("[role=alert]");
  if (!note) {
    note = document.createElement("p");
    note.className = "note bad";
    note.setAttribute("role", "alert");
    form.append(note);
  }
  note.textContent = answers[error?.name] ?? error?.message ?? "That did not work. Load the page again.";
}

/** Asks the registry what the key is to sign. */
async function challenge(form) {
  const body = new URLSearchParams({ csrf: form.elements.csrf.value, link: form.elements.link?.value ?? "" });
  const answer = await fetch("/security-key/challenge", { method: "POST", body });
  if (!answer.ok) {
    throw new Error("This page is out of date: load it again.");
  }
  return answer.json();
}

/** Runs `ask`, puts what the key answered into the form and sends it. */
async function run(form, ask) {
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    if (!window.PublicKeyCredential?.parseRequestOptionsFromJSON) {
      throw new Error("This browser does not know security keys: use a newer one, or a code.");
    }
    const credential = await ask();
    form.elements.security_key.value = JSON.stringify(credential.toJSON());
    form.submit();
  } catch (error) {
    complain(form, error);
    button.disabled = false;
  }
}

for (const words of document.querySelectorAll("[data-without-script]")) {
  words.remove();
}

for (const form of document.querySelectorAll("form[data-security-key]")) {
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run(form, async () => {
      const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(await challenge(form));
      return navigator.credentials.get({ publicKey });
    });
  });
}

for (const form of document.querySelectorAll("form[data-new-key]")) {
  const ask = () => run(form, () => {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(form.dataset.newKey));
    return navigator.credentials.create({ publicKey });
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  if ("now" in form.dataset) {
    ask();
  }
}
