// Names for what is made here, as good as a UUID; crypto.randomUUID is there only over https.

/** 128 random bits in hex. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
