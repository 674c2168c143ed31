// Shows a link of SimpleX as a QR code. Its secret is behind "#", which browsers do not send, so this is done here.
import { generate } from "./lean-qr.mjs";

const kind = location.pathname.split("/")[1];
const secret = location.hash.slice(1);
const element = (id) => document.getElementById(id);

if (secret) {
  const link = "https://" + location.host + location.pathname + location.search + location.hash;
  show(element("open"), (button) => { button.href = appLink(); });
  if (navigator.clipboard) {
    show(element("copy"), (button) => button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(link);
      button.textContent = "Copied";
    }));
  }
  try {
    show(element("qr"), (figure) => figure.append(drawing(generate(link))));
  } catch {
    tell("This link is too long for a QR code. Open it in the app on this device, or copy it.");
  }
} else {
  tell("This link is not complete: the part that begins with # is missing. Ask for it again.");
}

// Another link to the same page is another secret.
addEventListener("hashchange", () => location.reload());

function show(shown, fill) {
  fill(shown);
  shown.hidden = false;
}

function tell(problem) {
  element("hint").hidden = true;
  show(element("problem"), (place) => { place.textContent = problem; });
}

// The form that apps are registered for. A short link names its first server by the host of the page, the app's form by
// a parameter.
function appLink() {
  if (kind === "contact" || kind === "invitation") return "simplex:/" + kind + "#" + secret;
  const [key, query = ""] = secret.split(/\?(.*)/s);
  const parameters = query.split("&").filter((parameter) => parameter && !parameter.startsWith("h="));
  const others = new URLSearchParams(query).get("h");
  const hosts = location.hostname + (others ? "," + others : "");
  return "simplex:/" + kind + "#" + key + "?" + ["h=" + encodeURIComponent(hosts), ...parameters].join("&");
}

// Dark on light in any colour scheme, with the margin of four modules that readers need.
function drawing(code) {
  const name = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(name, "svg");
  svg.setAttribute("viewBox", `-4 -4 ${code.size + 8} ${code.size + 8}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "QR code of this link");
  svg.setAttribute("shape-rendering", "crispEdges");
  const path = document.createElementNS(name, "path");
  let modules = "";
  for (let y = 0; y < code.size; y++) {
    for (let x = 0; x < code.size; x++) if (code.get(x, y)) modules += `M${x} ${y}h1v1h-1z`;
  }
  path.setAttribute("d", modules);
  path.setAttribute("fill", "#000");
  svg.append(path);
  return svg;
}
