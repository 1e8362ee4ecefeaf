// Follows a growing conversation, and lets go as soon as the reader scrolls up.

const NEAR_PX = 60; // nearer to the end than this, the reader is taken to want the newest

/** Keep `scroller` at its end unless the reader left it; `button` brings them back. */
export class Follow {
  #following = true;

  constructor(scroller, button) {
    this.scroller = scroller;
    this.button = button;
    scroller.addEventListener("scroll", () => this.#look(), { passive: true });
    button.addEventListener("click", () => this.toEnd());
    new ResizeObserver(() => this.#following && this.toEnd()).observe(scroller);
  }

  /** Content grew: go along if the reader does. */
  grown() {
    if (this.#following) this.toEnd();
    else this.button.hidden = false;
  }

  toEnd() {
    this.#following = true;
    this.button.hidden = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  #look() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    this.#following = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    this.button.hidden = this.#following;
  }
}
