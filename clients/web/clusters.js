// Where much of the live book would be force-closed close together, as /v1/clusters answers.

import { ask } from "./api.js";

/**
 * One cluster: prices from low to high, most of it at peak.
 * @typedef {{
 *   side: "longs" | "shorts", rank: number, low: number, high: number, peak: number, usd: number, isIsolated: boolean,
 *   statedShare: number,
 * }} Cluster
 * @typedef {{ takenMs: number, clusters: Cluster[] }} Clusters
 */

/**
 * Ask for the first clusters of each side, of the choices.
 * @param {import("./page_state.js").Choices} choices
 * @param {AbortSignal} signal
 * @returns {Promise<Clusters>}
 */
export async function askClusters({ symbol, venues, leverages, side }, signal) {
  return { takenMs: Date.now(), clusters: clustersOf(await ask("/v1/clusters", { symbol, venues, leverages, side }, signal)) };
}

/**
 * Return the clusters of an answer.
 * @param {any} answer
 * @returns {Cluster[]}
 */
export function clustersOf(answer) {
  return answer.clusters.map((/** @type {any} */ cluster) => ({
    side: cluster.side === "POSITION_SIDE_LONG" ? "longs" : "shorts",
    rank: cluster.rank,
    low: cluster.price_low,
    high: cluster.price_high,
    peak: cluster.peak_price,
    usd: cluster.usd,
    isIsolated: cluster.isolated,
    statedShare: cluster.stated_share,
  }));
}
