// The data of the page, with what is asked of it again and again.
const DATA = JSON.parse(document.getElementById("data").textContent);

// What is said of a compile as a whole.
function summaryOf({ report }) {
  if (report.plain !== null) return `Wasmtime compiled it the plain way: ${report.plain}.`;
  const { total, compiled } = report.functions;
  const reused = `${number(total - compiled)} of ${number(total)} functions were reused`;
  return `${reused}, ${number(compiled)} compiled.`;
}

// Where there are several modules an index is one in each.
function functionOf(details, place, several) {
  const numbered = several ? `${details.module}:${details.index}` : String(details.index);
  const label = details.name ?? `function ${numbered}`;
  return {
    ...details,
    place,
    numbered,
    label,
    // Without the path that packages of Go have in front.
    short: details.name?.replace(/^(?:[\w.-]+\/)+/, "") ?? `#${numbered}`,
    way: wayOf(details),
    sought: `${label.toLowerCase()} ${numbered}`,
    milliseconds: details.compile_ns === undefined ? undefined : details.compile_ns / 1e6,
  };
}

const models = new Map();

// The functions and spans of an input; `null` if it was compiled the plain way.
function modelOf(input) {
  if (input.details === null) return null;
  if (!models.has(input)) {
    const all = input.details.functions;
    const modules = new Set(all.map(({ module }) => module)).size;
    const functions = all.map((details, place) => functionOf(details, place, modules > 1));
    const bySize = functions.toSorted((a, b) => b.code_bytes - a.code_bytes || a.place - b.place);
    const compiled = functions.filter((one) => one.milliseconds !== undefined);
    models.set(input, {
      functions,
      bySize,
      longest: compiled.sort((a, b) => b.milliseconds - a.milliseconds).slice(0, 10),
      modules,
      spans: input.details.spans,
      ways: waysIn(functions),
      codeBytes: functions.reduce((sum, one) => sum + one.code_bytes, 0),
    });
  }
  return models.get(input);
}

// How many functions were found in each way, how large they are, and how long they took.
function waysIn(functions) {
  const ways = new Map(WAYS.map(({ id }) => [id, { count: 0, code: 0, body: 0, milliseconds: 0 }]));
  for (const one of functions) {
    const sums = ways.get(one.way);
    sums.count += 1;
    sums.code += one.code_bytes;
    sums.body += one.body_bytes;
    sums.milliseconds += one.milliseconds ?? 0;
  }
  return ways;
}

// What became of a function in the other inputs, if its name is one function's alone there.
function elsewhere(input, one) {
  if (one.name === undefined) return [];
  return DATA.inputs
    .filter((other) => other !== input && other.details !== null)
    .map((other) => {
      const same = modelOf(other).functions.filter(({ name }) => name === one.name);
      return { input: other, found: same.length === 1 ? same[0] : null };
    });
}
