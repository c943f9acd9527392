// Light or dark: what the system prefers, or what was chosen here.
const KEPT = "ibid-report-theme";

// A page opened from a file may have no storage.
function keptTheme() {
  try {
    return localStorage.getItem(KEPT) ?? "";
  } catch {
    return "";
  }
}

function keepTheme(theme) {
  try {
    localStorage.setItem(KEPT, theme);
  } catch {
    // Then it is chosen again the next time.
  }
}

// Applies the theme, and calls `changed` whenever colours are others.
function watchTheme(changed) {
  const apply = (theme) => {
    document.documentElement.dataset.theme = theme;
    changed();
  };
  for (const choice of document.querySelectorAll("input[name=theme]")) {
    choice.checked = choice.value === keptTheme();
    choice.addEventListener("change", () => {
      keepTheme(choice.value);
      apply(choice.value);
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  apply(keptTheme());
}

const probe = document.getElementById("status");

// The colour that a variable of the style sheet is now.
function colour(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

// Black or white, whichever is read better on `background`.
function ink(background) {
  const [red, green, blue] = background.match(/[\d.]+/g).map((part) => {
    const value = part / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 ? "#000" : "#fff";
}
