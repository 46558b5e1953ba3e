// Shows the description of the service, or with ?workspace=<name> that of a workspace, which may ask for a key.
// The key stays in this page: it is stored nowhere.
"use strict";

(() => {
  const workspace = new URLSearchParams(location.search).get("workspace");
  const address = workspace === null ? "openapi.json" : `v2/functions/${encodeURIComponent(workspace)}/openapi.json`;
  const form = document.getElementById("key");
  const said = document.getElementById("said");

  async function show(key) {
    const headers = key ? { Authorization: `Bearer ${key}` } : {};
    const response = await fetch(address, { headers, credentials: "omit" });
    const body = await response.json();
    form.hidden = response.ok || (!key && response.status !== 401);
    said.textContent = response.ok ? "" : body.message;
    if (!response.ok) {
      return;
    }
    document.title = body.info.title;
    const viewer = SwaggerUIBundle({
      spec: body,
      domNode: document.getElementById("viewer"),
      // By default it shows a badge that sends the description to somebody else's service.
      validatorUrl: null,
      persistAuthorization: false,
      onComplete: () => {
        if (key) {
          viewer.preauthorizeApiKey("bearer", key);
        }
      },
    });
  }

  function attempt(key) {
    show(key).catch((error) => {
      said.textContent = `The description cannot be read: ${error.message}`;
    });
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(new FormData(form).get("key"));
  });
  attempt("");
})();
