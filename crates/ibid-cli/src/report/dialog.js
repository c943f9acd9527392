// What is known of one function.
function functionDialog(dialog) {
  // A click beside it closes it.
  dialog.addEventListener("click", (event) => {
    const edge = dialog.getBoundingClientRect();
    if (event.target === dialog && event.clientX < edge.left) dialog.close();
  });

  function facts(input, one) {
    const way = WAY.get(one.way);
    const slots = [
      [one.address_slots, "for addresses of static data"],
      [one.place_slots, "for places in the instance"],
    ].filter(([has]) => has);
    const rows = [
      ["Found", wayCell(way, true)],
      ["Index", String(one.index)],
      ["Body", `${number(one.body_bytes)} bytes`],
      ["Code", `${number(one.code_bytes)} bytes`],
      ["Time to compile", one.milliseconds === undefined ? "not compiled" : milliseconds(one.milliseconds)],
      ["Slots", slots.map(([, what]) => what).join(", ") || "none"],
      [
        "Stencil key",
        one.stencil_key === undefined
          ? one.found === "exact_body" ? "none was made: it was found by its body" : "none"
          : element("span", one.stencil_key, { class: "key" }),
      ],
    ];
    if (modelOf(input).modules > 1) rows.splice(1, 0, ["Module", String(one.module)]);
    for (const other of elsewhere(input, one)) {
      const found = other.found === null ? "not there, or not the only one" : wayCell(WAY.get(other.found.way));
      rows.push([`In ${other.input.input}`, found]);
    }
    return rows.flatMap(([name, value]) => [element("dt", name), element("dd", value)]);
  }

  return (input, one) => {
    document.getElementById("function-title").textContent = one.label;
    document.getElementById("facts").replaceChildren(...facts(input, one));
    dialog.showModal();
  };
}
