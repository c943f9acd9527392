// Lays `items`, of which the heaviest come first, out in `box`, each with an area that is its
// share of all weight and a shape as near to a square as can be had (Bruls, Huizing, van Wijk:
// Squarified Treemaps, 2000). Gives each `x`, `y`, `width` and `height`.
function squarify(items, box, weight) {
  let { x, y, width, height } = box;
  const scale = (width * height) / items.reduce((sum, item) => sum + weight(item), 0);
  for (let first = 0; first < items.length; ) {
    const side = Math.min(width, height);
    const { end, area } = row(items, first, side, (item) => weight(item) * scale);
    const thickness = side > 0 ? area / side : 0;
    let along = 0;
    for (const item of items.slice(first, end)) {
      const length = thickness > 0 ? (weight(item) * scale) / thickness : 0;
      Object.assign(
        item,
        width < height
          ? { x: x + along, y, width: length, height: thickness }
          : { x, y: y + along, width: thickness, height: length },
      );
      along += length;
    }
    if (width < height) [y, height] = [y + thickness, height - thickness];
    else [x, width] = [x + thickness, width - thickness];
    first = end;
  }
}

// Which items from `first` on stand in one row along `side`: as many as make its worst shape
// better.
function row(items, first, side, areaOf) {
  let [area, worst, end] = [0, Infinity, first];
  while (end < items.length) {
    const smallest = areaOf(items[end]);
    const sum = area + smallest;
    const square = (side * side) / (sum * sum);
    const ratio = Math.max(areaOf(items[first]) * square, 1 / (smallest * square));
    if (ratio > worst) break;
    [area, worst, end] = [sum, ratio, end + 1];
  }
  return { area, end };
}
