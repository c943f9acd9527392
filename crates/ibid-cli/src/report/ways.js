// How a function was found, in the order in which ibid looks. The report's own names, but that
// functions found by stencil are told apart by what their stencils leave open.
const WAYS = [
  { id: "exact_body", name: "Exact body", pattern: "plain", means: "the same bytes in the same module environment" },
  { id: "stencil", name: "Stencil", pattern: "up", means: "the same but for which functions it calls and where it lies" },
  { id: "address_slots", name: "Stencil with address slots", pattern: "down", means: "its static data may have moved" },
  { id: "place_slots", name: "Stencil with place slots", pattern: "dots", means: "imports and globals may have moved in the instance" },
  { id: "duplicate", name: "Duplicate", pattern: "upright", means: "the same stencil as another function that was compiled" },
  { id: "clif", name: "CLIF", pattern: "level", means: "by Cranelift’s own key, after translation" },
  { id: "compiled", name: "Compiled", pattern: "cross", means: "it was not found" },
];

const WAY = new Map(WAYS.map((way) => [way.id, way]));

function wayOf(details) {
  if (details.found !== "stencil") return details.found;
  if (details.address_slots) return "address_slots";
  return details.place_slots ? "place_slots" : "stencil";
}
