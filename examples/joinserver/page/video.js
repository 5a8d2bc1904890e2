// video.js stands in for @telnyx/video: it has no camera, no microphone and no media. With a
// token, its rooms do what those of @telnyx/video do:
//
//  - They show it to the media server, which may refuse it, in connect and in
//    updateClientToken.
//  - They are disconnected when it expires ("unauthorized").
//  - Once disconnected, updateClientToken does nothing. Initialize another room.

export async function initialize({ roomId, clientToken }) {
  const listeners = { connected: [], disconnected: [] };
  let status = "initialized";
  let expiry; // the timer

  function emit(event, ...args) {
    for (const listener of listeners[event]) listener(...args);
  }

  function leave(reason) {
    if (status === "disconnected") return;
    status = "disconnected";
    clearTimeout(expiry);
    emit("disconnected", reason);
  }

  // show shows a token to the media server.
  async function show(token) {
    const answer = await fetch(`/media/${encodeURIComponent(roomId)}`, { method: "POST", body: token }).catch(() => {});
    if (status === "disconnected") return;
    if (!answer?.ok) return leave(answer ? "unauthorized" : "network_error");
    clearTimeout(expiry);
    expiry = setTimeout(leave, expiresAt(token) - Date.now(), "unauthorized");
    if (status === "connected") return;
    status = "connected";
    emit("connected");
  }

  return {
    id: roomId,
    on: (event, listener) => void listeners[event].push(listener),
    connect: () => show(clientToken),
    disconnect: async () => leave("user_initiated"),
    updateClientToken: async (token) => {
      if (status === "connected") await show(token);
    },
  };
}

// expiresAt reads the time from a token, which is a JWT.
function expiresAt(token) {
  const claims = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  return JSON.parse(atob(claims)).exp * 1000;
}
