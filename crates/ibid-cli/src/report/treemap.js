// The treemap: one rectangle for each function, as large as its machine code.
const HEADER = 18;

// Lays the functions out, in groups if `grouping` says so. Gives the rectangles, and the groups'
// headers where there is room for them.
function layOut(model, grouping, box) {
  const weight = (one) => Math.max(one.code_bytes, 1);
  const rectangle = (one) => ({ one, x: 0, y: 0, width: 0, height: 0 });
  if (grouping === "") {
    const rectangles = model.bySize.map(rectangle);
    squarify(rectangles, box, ({ one }) => weight(one));
    return { rectangles, headers: [] };
  }
  const groups = new Map();
  for (const one of model.bySize) {
    const of = one[grouping];
    if (!groups.has(of)) groups.set(of, { of, rectangles: [], weight: 0 });
    const group = groups.get(of);
    group.rectangles.push(rectangle(one));
    group.weight += weight(one);
  }
  const sorted = [...groups.values()].sort((a, b) => b.weight - a.weight);
  squarify(sorted, box, (group) => group.weight);
  const headers = [];
  for (const group of sorted) {
    const inner = { x: group.x, y: group.y, width: group.width, height: group.height };
    if (group.width > 70 && group.height > 3 * HEADER) {
      inner.y += HEADER;
      inner.height -= HEADER;
      const name = grouping === "way" ? WAY.get(group.of).name : `module ${group.of}`;
      headers.push({ ...group, text: `${name} · ${number(group.rectangles.length)}` });
    }
    squarify(group.rectangles, inner, ({ one }) => weight(one));
  }
  return { rectangles: sorted.flatMap((group) => group.rectangles), headers };
}

// The rectangle that is next to `from` in the direction of `key`: one that faces it, and is near.
function neighbour(rectangles, from, key) {
  const across = key === "ArrowLeft" || key === "ArrowRight";
  const sign = key === "ArrowRight" || key === "ArrowDown" ? 1 : -1;
  const middle = (it) => [it.x + it.width / 2, it.y + it.height / 2];
  const [fromX, fromY] = middle(from);
  let [best, nearest] = [null, Infinity];
  for (const it of rectangles) {
    const [x, y] = middle(it);
    const ahead = sign * (across ? x - fromX : y - fromY);
    const aside = Math.abs(across ? y - fromY : x - fromX);
    const reach = (across ? from.height + it.height : from.width + it.width) / 2;
    if (it === from || ahead <= 0.01) continue;
    const far = ahead + 3 * Math.max(aside - reach, 0) + aside / 100;
    if (far < nearest) [best, nearest] = [it, far];
  }
  return best;
}

// `shown` says of a function whether it is drawn in full; `open` is called with one that is
// chosen.
function treemap(canvas, { shown, open }) {
  const box = canvas.parentElement;
  let [model, grouping] = [null, "way"];
  let [rectangles, headers] = [[], []];
  let [current, hovered] = [null, null];

  const draw = onceAFrame(() => {
    if (model === null || canvas.clientWidth === 0) return;
    const drawing = context(canvas, canvas.clientWidth, canvas.clientHeight);
    const fills = new Map(WAYS.map((way) => [way.id, fillOf(way)]));
    drawing.fillStyle = colour("card");
    drawing.fillRect(0, 0, canvas.clientWidth, canvas.clientHeight);
    for (const it of rectangles) drawOne(drawing, it, fills.get(it.one.way));
    drawing.globalAlpha = 1;
    drawing.fillStyle = colour("text");
    for (const it of headers) {
      drawing.fillText(fitted(drawing, it.text, it.width - 8), it.x + 3, it.y + HEADER / 2);
    }
    const framed = [hovered, document.activeElement === canvas ? current : null];
    for (const it of framed) if (it !== null) frame(drawing, it);
    if (canvas.dataset.drawn === undefined) performance.mark("drawn");
    canvas.dataset.drawn = rectangles.length;
  });

  function drawOne(drawing, { one, x, y, width, height }, fill) {
    drawing.globalAlpha = shown(one) ? 1 : 0.13;
    // A line of the ground between two that are large enough to be told apart.
    const least = Math.min(width, height);
    const gap = least > 8 ? 1 : least > 1.5 ? 0.4 : 0;
    drawing.fillStyle = least > 4 ? fill.pattern : fill.base;
    drawing.fillRect(x, y, width - gap, height - gap);
    if (width < 44 || height < 16 || !shown(one)) return;
    const text = fitted(drawing, one.short, width - 10);
    if (text === "") return;
    const lines = height >= 34 ? [text, fitted(drawing, bytes(one.code_bytes), width - 10)] : [text];
    lines.forEach((line, at) => {
      const middle = y + 9 + 14 * at;
      // Text is not read well on a pattern.
      drawing.fillStyle = fill.base;
      drawing.fillRect(x + 2, middle - 7, drawing.measureText(line).width + 5, 14);
      drawing.fillStyle = fill.ink;
      drawing.fillText(line, x + 4, middle);
    });
  }

  function layOutAnew() {
    if (model === null || canvas.clientWidth === 0) return;
    const size = { x: 0, y: 0, width: canvas.clientWidth, height: canvas.clientHeight };
    ({ rectangles, headers } = layOut(model, grouping, size));
    current = rectangles.find(({ one }) => one === current?.one) ?? null;
    hovered = null;
    tip(box, null);
    draw();
  }

  function words({ one }) {
    const parts = [one.label, WAY.get(one.way).name, `${bytes(one.code_bytes)} of code`];
    if (one.milliseconds !== undefined) parts.push(milliseconds(one.milliseconds));
    return parts;
  }

  function go(to) {
    current = to;
    hovered = null;
    draw();
    if (to === null) return;
    tip(box, words(to), { x: to.x + to.width / 2, y: to.y + to.height / 2 });
    say(words(to).join(", "));
  }

  const largest = () => rectangles.find(({ one }) => one === model.bySize[0]) ?? null;
  const smallest = () => rectangles.find(({ one }) => one === model.bySize.at(-1)) ?? null;

  canvas.addEventListener("keydown", (event) => {
    const { key } = event;
    if (key.startsWith("Arrow")) go(current === null ? largest() : neighbour(rectangles, current, key) ?? current);
    else if (key === "Home") go(largest());
    else if (key === "End") go(smallest());
    else if (key === "Escape") tip(box, null);
    else if ((key === "Enter" || key === " ") && current !== null) open(current.one);
    else return;
    event.preventDefault();
  });
  canvas.addEventListener("focus", () => {
    if (canvas.matches(":focus-visible")) go(current ?? largest());
    else draw();
  });
  canvas.addEventListener("blur", () => {
    tip(box, null);
    draw();
  });

  function under(event) {
    const { x, y } = pointer(canvas, event);
    const inside = (it) => x >= it.x && x < it.x + it.width && y >= it.y && y < it.y + it.height;
    return rectangles.find(inside) ?? null;
  }
  canvas.addEventListener("pointermove", (event) => {
    const found = under(event);
    if (found !== hovered) {
      hovered = found;
      draw();
    }
    tip(box, found && words(found), pointer(canvas, event));
  });
  canvas.addEventListener("pointerleave", () => {
    hovered = null;
    tip(box, null);
    draw();
  });
  canvas.addEventListener("click", (event) => {
    const found = under(event);
    if (found === null) return;
    current = found;
    open(found.one);
  });

  new ResizeObserver(layOutAnew).observe(canvas);
  return {
    draw,
    show(shownModel) {
      model = shownModel;
      current = null;
      layOutAnew();
    },
    group(by) {
      grouping = by;
      layOutAnew();
    },
  };
}
