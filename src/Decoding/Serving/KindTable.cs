namespace ProxyTune.Decoding.Serving;

/// <summary>A field of an object that has a kind, such as a mask.</summary>
/// <param name="Accepts">Type and range, in words.</param>
/// <param name="IsValid">Whether a value lies in the range.</param>
internal sealed record KindField<T>(string Name, Func<T, object?> Get, string Accepts, Func<object, bool> IsValid);

/// <summary>A row of a table of kinds.</summary>
/// <param name="Build">Makes the engine's form of it.</param>
/// <param name="Required">Names of the fields that must be given.</param>
/// <param name="Optional">Names of the fields that may be given.</param>
internal sealed record Kind<T, TEngine>(string Name, Func<T, TEngine> Build, string[] Required, string[] Optional);

/// <summary>The kinds of an object and their fields: a new kind is one row.</summary>
/// <param name="name">Of the object, such as mask.</param>
internal sealed class KindTable<T, TEngine>(string name, IReadOnlyList<KindField<T>> fields, IReadOnlyList<Kind<T, TEngine>> kinds)
{
    public IReadOnlyList<Kind<T, TEngine>> Kinds => kinds;

    /// <summary>Refuses an unknown kind, a field that the kind does not take, a missing field, and a value out of range.</summary>
    public void Check(T settings, string? kind, SettingsProblem problem)
    {
        Kind<T, TEngine> row = kinds.FirstOrDefault(row => row.Name == kind) ?? throw problem.At($"{name}.kind", kind, Words());
        foreach (KindField<T> field in fields)
        {
            object? value = field.Get(settings);
            bool isRequired = row.Required.Contains(field.Name);
            if (value is not null && !isRequired && !row.Optional.Contains(field.Name))
            {
                throw problem.At($"{name}.{field.Name}", value, $"nothing: {name} '{kind}' does not take it");
            }

            if (value is null ? isRequired : !field.IsValid(value))
            {
                throw problem.At($"{name}.{field.Name}", value, field.Accepts);
            }
        }
    }

    public TEngine Build(T settings, string? kind) => kinds.First(row => row.Name == kind).Build(settings);

    private string Words() => $"{string.Join(", ", kinds.SkipLast(1).Select(row => row.Name))} or {kinds[^1].Name}";
}
