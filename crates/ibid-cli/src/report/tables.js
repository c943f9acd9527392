// Tables, and what they are made of.
function element(name, content = [], attributes = {}) {
  const made = document.createElement(name);
  made.append(...[content].flat());
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

const NUMBER = { class: "number" };

function headings(columns) {
  const cells = columns.map(({ title, numeric }) =>
    element("th", title, { scope: "col", ...(numeric ? NUMBER : {}) }),
  );
  return element("thead", element("tr", cells));
}

// A button with a function's name on it.
function opener(one, open) {
  const button = element("button", one.label, { type: "button", class: "open" });
  button.addEventListener("click", () => open(one));
  return button;
}

function wayCell(way, means) {
  const words = element("span", means ? [way.name, element("small", way.means)] : way.name);
  return element("span", [swatch(way), words], { class: "way" });
}

// The inputs, of which one is shown.
function inputsTable(table, chosen, choose) {
  const columns = ["Input", "Functions", "Reused", "Compiled", "Code reused", "Time"];
  const rows = DATA.inputs.map((input, place) => {
    const { functions, code_bytes: code, time_ms: time, plain } = input.report;
    const counted = (cell) => (plain === null ? cell : "–");
    const radio = element("input", [], { type: "radio", name: "input", value: place });
    radio.checked = place === chosen;
    radio.addEventListener("change", () => choose(place));
    const cells = [
      counted(number(functions.total)),
      counted(number(functions.total - functions.compiled)),
      counted(number(functions.compiled)),
      counted(percent(code.reused, code.total)),
      milliseconds(time.total),
    ];
    return element("tr", [
      element("th", element("label", [radio, ` ${input.input}`]), { scope: "row" }),
      ...cells.map((cell) => element("td", cell, NUMBER)),
    ]);
  });
  const head = headings(columns.map((title, place) => ({ title, numeric: place > 0 })));
  table.replaceChildren(head, element("tbody", rows));
}

// How functions were found; each way has a tick, and `changed` is called when it changes.
function waysTable(table, model, report, hidden, changed) {
  const columns = ["Way", "Functions", "Code", "Share", "Time"];
  const rows = WAYS.map((way) => {
    const sums = model.ways.get(way.id);
    const tick = element("input", [], { type: "checkbox", "aria-label": `Show ${way.name}` });
    tick.checked = !hidden.has(way.id);
    tick.addEventListener("change", () => {
      if (tick.checked) hidden.delete(way.id);
      else hidden.add(way.id);
      changed();
    });
    const words = element("span", [way.name, element("small", way.means)]);
    return element("tr", [
      element("th", element("label", [tick, swatch(way), words], { class: "way" }), { scope: "row" }),
      element("td", number(sums.count), NUMBER),
      element("td", bytes(sums.code), NUMBER),
      element("td", percent(sums.code, model.codeBytes), NUMBER),
      element("td", sums.milliseconds > 0 ? milliseconds(sums.milliseconds) : "–", NUMBER),
    ]);
  });
  const spent = [...model.ways.values()].reduce((sum, way) => sum + way.milliseconds, 0);
  const total = (name, cells) =>
    element("tr", [
      element("th", name, { scope: "row" }),
      ...cells.map((cell) => element("td", cell, NUMBER)),
    ]);
  const foot = element("tfoot", [
    total("All functions", [
      number(model.functions.length),
      bytes(model.codeBytes),
      percent(model.codeBytes, model.codeBytes),
      spent > 0 ? milliseconds(spent) : "–",
    ]),
    total("Trampolines", [
      number(report.trampolines.total),
      bytes(report.code_bytes.total - model.codeBytes),
      "",
      "",
    ]),
  ]);
  const head = headings(columns.map((title, place) => ({ title, numeric: place > 0 })));
  table.replaceChildren(head, element("tbody", rows), foot);
}

const STAGES = ["parse", "keys", "lookup", "compile", "apply", "link"];

function stagesTable(table, times) {
  const row = (name, time, mark) =>
    element("tr", [
      element("th", [...mark, name], { scope: "row" }),
      element("td", milliseconds(time), NUMBER),
      element("td", percent(time, times.total), NUMBER),
    ]);
  const mark = (stage) => element("span", [], { class: "stage", style: `background: var(--stage-${stage})` });
  const rows = STAGES.map((stage) => row(stage, times[stage], [mark(stage)]));
  const head = headings([{ title: "Stage" }, { title: "Time", numeric: true }, { title: "Share", numeric: true }]);
  const foot = element("tfoot", row("from input to artifact", times.total, []));
  table.replaceChildren(head, element("tbody", rows), foot);
}

function longestTable(table, model, open) {
  const rows = model.longest.map((one) =>
    element("tr", [
      element("th", opener(one, open), { scope: "row" }),
      element("td", milliseconds(one.milliseconds), NUMBER),
      element("td", bytes(one.body_bytes), NUMBER),
      element("td", bytes(one.code_bytes), NUMBER),
    ]),
  );
  const none = element("tr", element("td", "Nothing was compiled.", { colspan: 4 }));
  const head = headings([
    { title: "Function" },
    { title: "Time", numeric: true },
    { title: "Body", numeric: true },
    { title: "Code", numeric: true },
  ]);
  table.replaceChildren(head, element("tbody", rows.length > 0 ? rows : none));
}

const ROWS = 50;

const COLUMNS = [
  { id: "label", title: "Function", cell: (one, open) => opener(one, open) },
  { id: "index", title: "Index", numeric: true, cell: (one) => one.numbered },
  { id: "way", title: "Found", cell: (one) => wayCell(WAY.get(one.way)) },
  { id: "body_bytes", title: "Body", numeric: true, cell: (one) => bytes(one.body_bytes) },
  { id: "code_bytes", title: "Code", numeric: true, cell: (one) => bytes(one.code_bytes) },
  {
    id: "milliseconds",
    title: "Compile time",
    numeric: true,
    cell: (one) => (one.milliseconds === undefined ? "–" : milliseconds(one.milliseconds)),
  },
];

const WAY_ORDER = new Map(WAYS.map((way, place) => [way.id, place]));

function compare(column, a, b) {
  if (column === "label") return a.label < b.label ? -1 : Number(a.label > b.label);
  if (column === "way") return WAY_ORDER.get(a.way) - WAY_ORDER.get(b.way);
  if (column === "index") return a.place - b.place;
  return (a[column] ?? -1) - (b[column] ?? -1);
}

// All functions, sorted as is wished, some at a time.
function functionsTable(table, { shown, open }) {
  const [previous, next] = ["previous", "next"].map((id) => document.getElementById(id));
  let [model, rows, page] = [null, [], 0];
  let [column, falling] = ["code_bytes", true];

  function draw() {
    const head = COLUMNS.map(({ id, title, numeric }) => {
      const button = element("button", title, { type: "button" });
      button.addEventListener("click", () => sort(id));
      const sorted = id === column ? { "aria-sort": falling ? "descending" : "ascending" } : {};
      return element("th", button, { scope: "col", ...(numeric ? NUMBER : {}), ...sorted });
    });
    const body = rows.slice(page * ROWS, (page + 1) * ROWS).map((one) => {
      const cells = COLUMNS.map(({ id, numeric, cell }) =>
        id === "label"
          ? element("th", cell(one, open), { scope: "row" })
          : element("td", cell(one, open), numeric ? NUMBER : {}),
      );
      return element("tr", cells);
    });
    const none = element("tr", element("td", "No function is like that.", { colspan: COLUMNS.length }));
    table.replaceChildren(
      element("thead", element("tr", head)),
      element("tbody", body.length > 0 ? body : none),
    );
    const last = Math.min((page + 1) * ROWS, rows.length);
    const range = rows.length === 0 ? "none" : `${number(page * ROWS + 1)} to ${number(last)}`;
    document.getElementById("page-number").value = `${range} of ${number(rows.length)}`;
    previous.disabled = page === 0;
    next.disabled = last >= rows.length;
  }

  function update() {
    rows = model.bySize.filter(shown);
    if (column !== "code_bytes" || !falling) {
      rows.sort((a, b) => (falling ? -1 : 1) * compare(column, a, b));
    }
    page = 0;
    draw();
  }

  function sort(by) {
    falling = by === column ? !falling : by !== "label" && by !== "index";
    column = by;
    update();
    const place = COLUMNS.findIndex(({ id }) => id === by);
    table.querySelectorAll("thead button")[place].focus();
  }

  function turn(by) {
    page += by;
    draw();
  }
  previous.addEventListener("click", () => turn(-1));
  next.addEventListener("click", () => turn(1));

  return {
    update,
    matching: () => rows,
    show(shownModel) {
      model = shownModel;
      update();
    },
  };
}
