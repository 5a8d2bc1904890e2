export function watchToken() {}
