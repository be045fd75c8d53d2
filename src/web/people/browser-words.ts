/** A browser in a few words, of what it says it is: "Firefox on Linux". */
export function browserWords(agent: string | null): string {
  if (agent === null) return 'Unknown browser';
  const named = (all: readonly [RegExp, string][]) => all.find(([pattern]) => pattern.test(agent))?.[1];
  const browser = named([
    [/Edg(?:A|iOS)?\//, 'Edge'],
    [/OPR\//, 'Opera'],
    [/(?:Firefox|FxiOS)\//, 'Firefox'],
    [/(?:Chrome|CriOS)\//, 'Chrome'],
    [/Safari\//, 'Safari'],
  ]);
  const system = named([
    [/Android/, 'Android'],
    [/iPhone|iPad/, 'iOS'],
    [/Windows/, 'Windows'],
    [/Mac OS X/, 'macOS'],
    [/Linux/, 'Linux'],
  ]);
  if (browser === undefined) return agent.slice(0, 60);
  return system === undefined ? browser : `${browser} on ${system}`;
}
