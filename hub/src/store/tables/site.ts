// The tables that `site` writes (spec/site.md).

export interface SiteTables {
  site: SiteRow;
}

export interface SiteRow {
  readonly name: string;
  readonly description: string;
  /** A name of the IANA database. */
  readonly time_zone: string;
  /** In CIDR notation, a space between two. */
  readonly networks: string;
  /** ISO 3166-1 alpha-2. */
  readonly country: string | null;
  /** Degrees, WGS 84; all three or none of them. */
  readonly latitude: number | null;
  readonly longitude: number | null;
  readonly radius_metres: number | null;
  /** Purdue level: 0, 1, 2, 3, 3.5, 4 or 5. */
  readonly zone: string | null;
  readonly created_at: number;
}
