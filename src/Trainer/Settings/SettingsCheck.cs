namespace ProxyTune.Trainer.Settings;

/// <summary>Checks settings. Its messages name the file, the field, the value and what is accepted.</summary>
public sealed class SettingsCheck(string file)
{
    public string File { get; } = file;

    public void Range(string field, double value, double from, double to) =>
        Holds(value >= from && value <= to, field, value, $"{from} to {to}");

    public void OneOf(string field, string value, params IEnumerable<string> accepted) =>
        Holds(accepted.Contains(value), field, $"'{value}'", string.Join(", ", accepted));

    public void NotEmpty(string field, string value) => Holds(value.Length > 0, field, "empty", "a name or path");

    public void Holds(bool holds, string field, object value, string accepted)
    {
        if (!holds)
        {
            throw new TrainingException(FormattableString.Invariant($"{File}: {field} is {value}; accepted is {accepted}."));
        }
    }
}
