// Over HTTP/1.1 a browser opens six connections to a server at most, for all tabs together,
// and each stream of tokens takes one. The seventh stream would wait for ever, and so would
// everything else. HTTP/2, which browsers speak over TLS, has no such limit.
const most = 5;

// withStream calls use, which opens a stream and returns a promise of its end, and returns
// whether it could: false if this browser has too many.
export async function withStream(use) {
  const [{ nextHopProtocol }] = performance.getEntriesByType("navigation");
  if (nextHopProtocol !== "http/1.1" || !navigator.locks) {
    await use();
    return true;
  }
  for (let n = 1; n <= most; n++) {
    // The lock is the browser's, for all tabs. It is given back when use has ended, or the tab is closed.
    const taken = await navigator.locks.request(`stream ${n}`, { ifAvailable: true }, async (lock) => {
      if (lock) await use();
      return lock !== null;
    });
    if (taken) return true;
  }
  return false;
}
