// The timeline: the stages of the compile, and below them each thread with the functions that it
// compiled.
const LANE = 30;
const SCALE = 20;
const MARGIN = 74;

// Lanes of spans, in the order of time: the stages first, then each thread.
function lanesOf(model) {
  const stages = { name: "stages", spans: [] };
  const threads = new Map();
  for (const span of model.spans) {
    if (span.function === undefined) {
      stages.spans.push(span);
      continue;
    }
    if (!threads.has(span.thread)) {
      threads.set(span.thread, { name: `thread ${span.thread}`, spans: [] });
    }
    threads.get(span.thread).spans.push(span);
  }
  const sorted = [...threads].sort(([a], [b]) => a - b).map(([, lane]) => lane);
  return [stages, ...sorted];
}

// A round number of microseconds so that about `count` of them are in `length`.
function step(length, count) {
  const rough = length / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
}

function timeline(canvas, { open }) {
  const box = canvas.parentElement;
  let [model, lanes, end] = [null, [], 1];
  let [from, to] = [0, 1];
  let [current, hovered, dragged] = [null, null, null];

  const width = () => Math.max(canvas.clientWidth - MARGIN, 1);
  const placeOf = (time) => MARGIN + ((time - from) / (to - from)) * width();
  const timeAt = (x) => from + ((x - MARGIN) / width()) * (to - from);
  const top = (lane) => SCALE + lane * LANE + 3;
  const edges = ({ span, lane }) => ({
    x: placeOf(span.start_us),
    y: top(lane),
    width: placeOf(span.end_us) - placeOf(span.start_us),
    height: LANE - 6,
  });
  const functionOfSpan = (span) => (span.function === undefined ? null : model.functions[span.function]);

  const draw = onceAFrame(() => {
    if (model === null || canvas.clientWidth === 0) return;
    canvas.style.height = `${SCALE + lanes.length * LANE + 4}px`;
    const drawing = context(canvas, canvas.clientWidth, canvas.clientHeight);
    drawing.fillStyle = colour("card");
    drawing.fillRect(0, 0, canvas.clientWidth, canvas.clientHeight);
    drawScale(drawing);
    const compiled = fillOf(WAY.get("compiled"));
    drawing.save();
    drawing.beginPath();
    drawing.rect(MARGIN, 0, width(), canvas.clientHeight);
    drawing.clip();
    let drawn = 0;
    lanes.forEach((lane, at) => {
      for (const span of lane.spans) {
        if (span.end_us < from || span.start_us > to) continue;
        drawSpan(drawing, span, edges({ span, lane: at }), compiled);
        drawn += 1;
      }
    });
    for (const it of [hovered, document.activeElement === canvas ? current : null]) {
      if (it !== null) frame(drawing, edges(it));
    }
    drawing.restore();
    canvas.dataset.drawn = drawn;
  });

  function drawScale(drawing) {
    const ticks = step(to - from, width() / 110);
    for (let time = Math.ceil(from / ticks) * ticks; time <= to; time += ticks) {
      const x = placeOf(time);
      drawing.fillStyle = colour("line");
      drawing.fillRect(x, SCALE - 4, 1, lanes.length * LANE + 4);
      const text = time === 0 ? "0" : milliseconds(time / 1e3);
      if (x + drawing.measureText(text).width + 3 > canvas.clientWidth) continue;
      drawing.fillStyle = colour("quiet");
      drawing.fillText(text, x + 3, SCALE / 2);
    }
    drawing.fillStyle = colour("text");
    lanes.forEach((lane, at) => drawing.fillText(lane.name, 2, top(at) + LANE / 2 - 3));
  }

  function drawSpan(drawing, span, { x, y, width: wide, height }, compiled) {
    const one = functionOfSpan(span);
    const fill = one === null ? colour(`stage-${span.phase}`) : compiled.base;
    drawing.fillStyle = fill;
    // A line between two that are large enough, and something of each however short.
    drawing.fillRect(x, y, Math.max(wide > 3 ? wide - 1 : wide, 0.5), height);
    const left = Math.max(x, MARGIN);
    const room = Math.min(x + wide, canvas.clientWidth) - left - 8;
    if (room < 24) return;
    drawing.fillStyle = ink(fill);
    drawing.fillText(fitted(drawing, one === null ? span.phase : one.short, room), left + 4, y + height / 2);
  }

  function words({ span }) {
    const one = functionOfSpan(span);
    const took = `${milliseconds((span.end_us - span.start_us) / 1e3)}, from ${milliseconds(span.start_us / 1e3)} on`;
    if (one === null) return [`stage: ${span.phase}`, took];
    return [one.label, took, `${bytes(one.body_bytes)} of body`];
  }

  function look(newFrom, newTo) {
    const length = Math.min(Math.max(newTo - newFrom, 20), end);
    from = Math.min(Math.max(newFrom, 0), end - length);
    to = from + length;
    draw();
  }

  // Zooms by `factor` around `at`: what is current, or the middle.
  function zoom(factor, at) {
    const middle = at ?? (current === null ? (from + to) / 2 : (current.span.start_us + current.span.end_us) / 2);
    const share = at === undefined ? 0.5 : (at - from) / (to - from);
    const length = (to - from) / factor;
    look(middle - share * length, middle + (1 - share) * length);
  }

  function go(next) {
    if (next === null) return;
    current = next;
    hovered = null;
    const { start_us: start, end_us: stop } = next.span;
    if (stop < from || start > to) {
      const length = to - from;
      look((start + stop - length) / 2, (start + stop + length) / 2);
    }
    draw();
    const edge = edges(next);
    tip(box, words(next), { x: Math.max(edge.x, 0), y: edge.y + edge.height });
    say(words(next).join(", "));
  }

  function nextIn(lane, by) {
    const { spans } = lanes[lane];
    const place = spans.indexOf(current.span) + by;
    return spans[place] === undefined ? null : { span: spans[place], lane };
  }

  // In another lane, what went on at that time.
  function across(by) {
    const lane = current.lane + by;
    const spans = lanes[lane]?.spans ?? [];
    const { start_us: start } = current.span;
    const span = spans.find((span) => span.end_us > start) ?? spans.at(-1);
    return span === undefined ? null : { span, lane };
  }

  const first = () => (lanes[0]?.spans.length ? { span: lanes[0].spans[0], lane: 0 } : null);

  canvas.addEventListener("keydown", (event) => {
    const moves = {
      ArrowLeft: () => nextIn(current.lane, -1),
      ArrowRight: () => nextIn(current.lane, 1),
      ArrowUp: () => across(-1),
      ArrowDown: () => across(1),
      Home: first,
    };
    const { key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (key in moves) go(current === null ? first() : moves[key]());
    else if (key === "+" || key === "=") zoom(2);
    else if (key === "-") zoom(0.5);
    else if (key === "0") look(0, end);
    else if (key === "Escape") tip(box, null);
    else if ((key === "Enter" || key === " ") && current !== null) choose(current);
    else return;
    event.preventDefault();
  });
  canvas.addEventListener("focus", () => {
    if (canvas.matches(":focus-visible")) go(current ?? first());
    else draw();
  });
  canvas.addEventListener("blur", () => {
    tip(box, null);
    draw();
  });

  function choose({ span }) {
    const one = functionOfSpan(span);
    if (one !== null) open(one);
  }

  // The span nearest to the pointer, if it is no farther than two pixels.
  function under(event) {
    const { x, y } = pointer(canvas, event);
    const lane = Math.floor((y - SCALE) / LANE);
    const time = timeAt(x);
    const slack = (2 * (to - from)) / width();
    const away = (span) => Math.max(span.start_us - time, time - span.end_us, 0);
    let [best, nearest] = [null, slack];
    for (const span of lanes[lane]?.spans ?? []) {
      if (away(span) <= nearest) [best, nearest] = [span, away(span)];
    }
    return best === null || x < MARGIN ? null : { span: best, lane };
  }
  canvas.addEventListener("pointerdown", (event) => {
    dragged = { x: event.clientX, from, to, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (dragged !== null) {
      const by = ((event.clientX - dragged.x) / width()) * (dragged.to - dragged.from);
      dragged.moved ||= Math.abs(event.clientX - dragged.x) > 4;
      if (dragged.moved) look(dragged.from - by, dragged.to - by);
      return;
    }
    hovered = under(event);
    canvas.style.cursor = hovered?.span.function === undefined ? "default" : "pointer";
    tip(box, hovered && words(hovered), pointer(canvas, event));
    draw();
  });
  canvas.addEventListener("pointerup", (event) => {
    const found = dragged?.moved === false ? under(event) : null;
    dragged = null;
    if (found === null) return;
    current = found;
    choose(found);
  });
  canvas.addEventListener("pointercancel", () => {
    dragged = null;
  });
  canvas.addEventListener("pointerleave", () => {
    hovered = null;
    tip(box, null);
    draw();
  });
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      zoom(event.deltaY < 0 ? 1.25 : 0.8, timeAt(pointer(canvas, event).x));
    },
    { passive: false },
  );

  new ResizeObserver(draw).observe(canvas);
  return {
    draw,
    zoom,
    whole: () => look(0, end),
    show(shownModel) {
      model = shownModel;
      lanes = lanesOf(model);
      end = model.spans.reduce((latest, span) => Math.max(latest, span.end_us), 1);
      current = hovered = null;
      look(0, end);
    },
  };
}
