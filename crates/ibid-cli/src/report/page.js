// The page: what is shown, and what happens when something is chosen.
const at = (id) => document.getElementById(id);

const hidden = new Set();
let input = null;
let sought = "";

const matches = (one) => one.sought.includes(sought);
const shown = (one) => !hidden.has(one.way) && matches(one);

const openDialog = functionDialog(at("function"));
const open = (one) => openDialog(input, one);

const map = treemap(at("treemap"), { shown, open });
const times = timeline(at("timeline"), { open });
const list = functionsTable(at("functions"), { shown, open });

function figures({ report, input_bytes: size, artifact_bytes: artifact }) {
  const { functions, code_bytes: code, time_ms: time } = report;
  // Of what was compiled the plain way nothing is counted.
  const counted = [
    ["Functions", number(functions.total)],
    ["Compiled", number(functions.compiled)],
    ["Code reused", percent(code.reused, code.total)],
    ["Machine code", bytes(code.total)],
  ];
  const rows = [
    ...(report.plain === null ? counted : []),
    ["Time", milliseconds(time.total)],
    ["Input", bytes(size)],
    ["Artifact", bytes(artifact)],
  ];
  const parts = rows.map(([name, value]) => element("div", [element("dt", name), element("dd", value)]));
  at("figures").replaceChildren(...parts);
}

function showInput(place) {
  input = DATA.inputs[place];
  at("summary-title").textContent = input.input;
  at("summary").textContent = summaryOf(input);
  figures(input);
  const model = modelOf(input);
  at("detailed").hidden = model === null;
  if (model === null) return;
  at("group-module").hidden = model.modules < 2;
  showColours();
  longestTable(at("longest"), model, open);
  map.show(model);
  times.show(model);
  list.show(model);
  countMatches();
}

// What has colours in it.
function showColours() {
  if (input === null || input.details === null) return;
  waysTable(at("ways"), modelOf(input), input.report, hidden, narrowed);
  stagesTable(at("stages"), input.report.time_ms);
}

// Other functions are shown in full than before.
function narrowed() {
  map.draw();
  list.update();
  countMatches();
}

function countMatches() {
  const found = modelOf(input).functions.filter(matches).length;
  at("match-count").value = sought === "" ? "" : `${number(found)} found`;
}

at("search").addEventListener("input", () => {
  sought = at("search").value.trim().toLowerCase();
  if (modelOf(input) !== null) narrowed();
});
// Enter opens the largest function that was found.
at("search-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const found = sought === "" ? undefined : list.matching()[0];
  if (found !== undefined) open(found);
});

for (const choice of document.querySelectorAll("input[name=group]")) {
  choice.addEventListener("change", () => map.group(choice.value));
}
// What is wider than the window is scrolled with the keyboard too.
const scrolled = new ResizeObserver((entries) => {
  for (const { target: table } of entries) {
    const { parentElement: box } = table;
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
});
for (const table of document.querySelectorAll(".scroll table")) scrolled.observe(table);

at("zoom-in").addEventListener("click", () => times.zoom(2));
at("zoom-out").addEventListener("click", () => times.zoom(0.5));
at("zoom-all").addEventListener("click", times.whole);
at("version").textContent = DATA.ibid;
document.title = `ibid report: ${DATA.inputs.map(({ input: name }) => name).join(", ")}`;

if (DATA.inputs.length > 1) {
  at("inputs-part").hidden = false;
  inputsTable(at("inputs"), DATA.inputs.length - 1, showInput);
}
// The last one is what the others were compiled for.
showInput(DATA.inputs.length - 1);
watchTheme(() => {
  showColours();
  map.draw();
  times.draw();
  if (modelOf(input) !== null) list.update();
});
