namespace ProxyTune.Trainer.Data;

/// <summary>Data that the program makes itself.</summary>
/// <param name="Prefix">The names of its sources begin with it.</param>
/// <param name="Documents">Documents by index, of a source; an <see cref="ArgumentException"/> for an unknown one.</param>
/// <param name="Examples">The examples of a source; an <see cref="ArgumentException"/> for an unknown one.</param>
public sealed record BuiltInData(string Prefix, Func<string, Func<long, string>> Documents, Func<string, IReadOnlyList<Example>> Examples);
