// What drawings share.
const FONT = "11px ui-monospace, monospace";

// A context for `canvas`, as sharp as the screen, whose unit is a pixel of the page.
function context(canvas, width, height) {
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const drawing = canvas.getContext("2d");
  drawing.setTransform(ratio, 0, 0, ratio, 0, 0);
  drawing.font = FONT;
  drawing.textBaseline = "middle";
  return drawing;
}

// The size of a tile of a pattern.
const TILE = 8;

// The strokes of each pattern. Those that go from edge to edge are drawn twice more, moved by a
// tile, so that they meet at the corners.
const STROKES = {
  plain: [],
  up: [[0, TILE, TILE, 0], [-TILE, TILE, 0, 0], [0, 2 * TILE, TILE, TILE]],
  down: [[0, 0, TILE, TILE], [-TILE, 0, 0, TILE], [0, -TILE, TILE, 0]],
  upright: [[TILE / 2, 0, TILE / 2, TILE]],
  level: [[0, TILE / 2, TILE, TILE / 2]],
  cross: [[0, 0, TILE, TILE], [0, TILE, TILE, 0]],
  dots: [[3, 4, 5, 4]],
};

// How a way is filled in.
function fillOf(way) {
  const base = colour(`way-${way.id}`);
  const text = ink(base);
  const ratio = devicePixelRatio || 1;
  const tile = document.createElement("canvas");
  const drawing = context(tile, TILE, TILE);
  drawing.fillStyle = base;
  drawing.fillRect(0, 0, TILE, TILE);
  drawing.strokeStyle = text;
  drawing.globalAlpha = 0.3;
  drawing.lineWidth = way.pattern === "dots" ? 2.4 : 1;
  for (const [fromX, fromY, toX, toY] of STROKES[way.pattern]) {
    drawing.beginPath();
    drawing.moveTo(fromX, fromY);
    drawing.lineTo(toX, toY);
    drawing.stroke();
  }
  const pattern = drawing.createPattern(tile, "repeat");
  pattern.setTransform(new DOMMatrix().scale(TILE / tile.width, TILE / tile.height));
  return { base, pattern: way.pattern === "plain" ? base : pattern, ink: text };
}

// A small field filled in as `way` is.
function swatch(way) {
  const canvas = document.createElement("canvas");
  canvas.setAttribute("aria-hidden", "true");
  const drawing = context(canvas, 18, 14);
  drawing.fillStyle = fillOf(way).pattern;
  drawing.fillRect(0, 0, 18, 14);
  return canvas;
}

// As much of `text` as has room in `width`.
function fitted(drawing, text, width) {
  // The font has one width for all.
  const room = Math.floor(width / drawing.measureText("m").width);
  if (text.length <= room) return text;
  return room < 3 ? "" : `${text.slice(0, room - 1)}…`;
}

// A frame that is seen on every colour.
function frame(drawing, { x, y, width, height }) {
  for (const [style, line] of [[colour("card"), 5], [colour("focus"), 2.5]]) {
    drawing.strokeStyle = style;
    drawing.lineWidth = line;
    drawing.strokeRect(x, y, Math.max(width, 3), Math.max(height, 3));
  }
}

// Where the pointer is on `canvas`.
function pointer(canvas, event) {
  const edge = canvas.getBoundingClientRect();
  return { x: event.clientX - edge.left, y: event.clientY - edge.top };
}

// Shows a few words beside a point in `box`, or none.
function tip(box, words, at) {
  const element = box.querySelector(".tip");
  element.hidden = words === null;
  if (words === null) return;
  const [first, ...rest] = words;
  const title = document.createElement("strong");
  title.textContent = first;
  element.replaceChildren(title, rest.join(" · "));
  const left = Math.min(at.x + 14, box.clientWidth - element.offsetWidth - 4);
  const below = at.y + 16 + element.offsetHeight < box.clientHeight;
  element.style.left = `${Math.max(left, 0)}px`;
  element.style.top = `${below ? at.y + 16 : Math.max(at.y - element.offsetHeight - 10, 0)}px`;
}

// Draws at most once a frame, however often it is asked to.
function onceAFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}

function say(words) {
  document.getElementById("status").textContent = words;
}
