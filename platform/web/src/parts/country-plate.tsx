interface Properties {
  /** ISO 3166-1 alpha-2. */
  readonly country: string;
  readonly name: string;
  readonly large?: boolean;
}

/** The country a building wears, as cars do. The words beside it name the country for those who do not see it. */
export function CountryPlate({ country, name, large = false }: Properties) {
  return (
    <span
      className={large ? 'country-plate large' : 'country-plate'}
      title={name}
      aria-hidden="true"
    >
      {country}
    </span>
  );
}
