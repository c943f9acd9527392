// Numbers for people, as the command prints them.
function number(value) {
  return Math.round(value).toLocaleString("en-US");
}

function bytes(value) {
  if (value < 1e3) return `${value} B`;
  if (value < 1e6) return `${(value / 1e3).toFixed(1)} kB`;
  if (value < 1e9) return `${(value / 1e6).toFixed(1)} MB`;
  return `${(value / 1e9).toFixed(1)} GB`;
}

function milliseconds(value) {
  if (value >= 1e3) return `${(value / 1e3).toFixed(value < 1e4 ? 2 : 1)} s`;
  if (value >= 100) return `${value.toFixed(0)} ms`;
  if (value >= 1) return `${value.toFixed(1)} ms`;
  return `${(value * 1e3).toFixed(0)} µs`;
}

function percent(part, whole) {
  if (!whole) return "–";
  const share = (100 * part) / whole;
  // 99.99 % is not all, and 0.01 % is not nothing.
  if (part < whole && share > 99.9) return "> 99.9 %";
  if (part > 0 && share < 0.1) return "< 0.1 %";
  return `${share.toFixed(1)} %`;
}
