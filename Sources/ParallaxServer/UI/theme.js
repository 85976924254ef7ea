// Sets the chosen theme before the first paint; a classic script, as a module would run after it.
try {
  const theme = localStorage.getItem("parallax.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Without storage the system's theme counts.
}
