/** What an object that serves as a map holds under a name that came from outside. Every object also has `constructor`, `toString` and the like, which are not of the map. */
export function ownValue<Value>(map: Readonly<Partial<Record<string, Value>>>, name: string): Value | undefined {
  return Object.hasOwn(map, name) ? map[name] : undefined;
}
