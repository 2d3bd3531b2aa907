// Modules cannot be loaded from file:, so a plain script says what to do instead.
if (location.protocol === "file:") {
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("loading").hidden = true;
    document.getElementById("error").textContent =
      "This page has to come from a file server: run `python -m http.server` in its folder and open http://localhost:8000/";
  });
}
