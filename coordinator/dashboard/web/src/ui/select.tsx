// A menu of values and their words.
export function Select({ label, value, options, choose }: { label: string; value: string; options: [string, string][]; choose: (value: string) => void }) {
  return (
    <select aria-label={label} value={value} onChange={(event) => choose(event.currentTarget.value)}>
      {options.map(([one, word]) => <option key={one} value={one}>{word}</option>)}
    </select>
  );
}
