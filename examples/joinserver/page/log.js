const entries = document.getElementById("log");
const most = 200;

// log adds a line at the top of the log. who is a room ID, or a name; level is "good", "bad"
// or nothing.
export function log(who, text, level = "") {
  const line = document.createElement("p");
  line.dataset.level = level;
  const time = document.createElement("time");
  time.textContent = new Date().toTimeString().slice(0, 8);
  const name = document.createElement("b");
  name.textContent = shortName(who);
  line.append(time, " ", name, " ", text);
  entries.prepend(line);
  if (entries.children.length > most) entries.lastElementChild.remove();
}

// shortName returns the first digits of a room ID that is a UUID.
export function shortName(roomId) {
  return roomId.length === 36 ? roomId.slice(0, 8) : roomId;
}
