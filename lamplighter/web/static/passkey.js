// A passkey is asked of the device, and its answer is sent as the form's field.
const bytes = text => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), c => c.charCodeAt(0));
const text = buffer => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

async function asked(options, create) {
  const key = {...options, challenge: bytes(options.challenge)};
  if (create) {
    key.user = {...options.user, id: bytes(options.user.id)};
    key.excludeCredentials = (options.excludeCredentials || []).map(one => ({...one, id: bytes(one.id)}));
    return navigator.credentials.create({publicKey: key});
  }
  return navigator.credentials.get({publicKey: key});
}

function answer(credential) {
  const said = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"])
    if (credential.response[name]) said[name] = text(credential.response[name]);
  return {id: credential.id, rawId: text(credential.rawId), type: credential.type, response: said,
          clientExtensionResults: credential.getClientExtensionResults()};
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  form.addEventListener("submit", async event => {
    event.preventDefault();
    const told = form.querySelector("[data-told]");
    told.hidden = true;
    try {
      const response = await fetch(form.dataset.options, {method: "POST"});
      if (!response.ok) throw new Error(response.statusText);
      form.elements.answer.value = JSON.stringify(answer(await asked(await response.json(), form.dataset.passkey === "create")));
      form.submit();
    } catch (error) {
      told.textContent = error.message;
      told.hidden = false;
    }
  });
}
