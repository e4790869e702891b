/** On what the operator makes for a building, with the building as value: what is watched. */
export const buildingLabel = 'domicile.dev/building';

export function labelsOf(building: string): Record<string, string> {
  return {
    'app.kubernetes.io/managed-by': 'domicile-operator',
    'app.kubernetes.io/part-of': 'domicile',
    [buildingLabel]: building,
  };
}
