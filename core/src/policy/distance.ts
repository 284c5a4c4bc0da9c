// How far apart two places are, on a sphere.

export interface Coordinates {
  /** Degrees, WGS 84. */
  readonly latitude: number;
  readonly longitude: number;
}

// Mean radius of the earth (IUGG); the sphere is off by at most half a percent.
const earthMetres = 6_371_008.8;

/** Great-circle distance by the haversine formula, in whole metres. */
export function metresBetween(a: Coordinates, b: Coordinates): number {
  const latitude = radians(b.latitude - a.latitude) / 2;
  const longitude = radians(b.longitude - a.longitude) / 2;
  const h =
    Math.sin(latitude) ** 2 + Math.cos(radians(a.latitude)) * Math.cos(radians(b.latitude)) * Math.sin(longitude) ** 2;
  return Math.round(2 * earthMetres * Math.asin(Math.min(1, Math.sqrt(h))));
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}
