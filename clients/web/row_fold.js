// How many rows of the server's grid are one row of the picture on a small screen, for the zoom there is. The server sums
// lots; what is summed here are levels, each off by up to 6 %.

/** What a server offers. */
const FOLDS = [1, 2, 4, 8, 16];
/** What most grids come to on most phones: asked for while the first picture has not said better. */
const FIRST_FOLD = 4;
/** Nobody zooms any more. */
const SETTLED_MS = 800;

export class RowFold {
  /** @param {boolean} isSmall */
  constructor(isSmall) {
    /** Rows in one, as they are to be asked for. */
    this.fold = isSmall ? FIRST_FOLD : 1;
    this.next = this.fold;
    this.nextSinceMs = 0;
  }

  /**
   * Take note of the zoom; return whether another fold is to be asked for now.
   * @param {number} rows of the default channel that have to be one, so that they can be told apart
   * @param {boolean} isSmall on other screens the server folds none
   * @param {number} nowMs
   */
  consider(rows, isSmall, nowMs) {
    const wanted = isSmall ? (FOLDS.find((fold) => fold >= rows) ?? FOLDS[FOLDS.length - 1]) : 1;
    if (wanted !== this.next) {
      this.next = wanted;
      this.nextSinceMs = nowMs;
    }
    if (this.next === this.fold || nowMs - this.nextSinceMs < SETTLED_MS) return false;
    this.fold = this.next;
    return true;
  }
}
