namespace ProxyTune.Trainer.Data;

/// <summary>Data that the program generates.</summary>
/// <param name="Prefix">The prefix of the names of its sources.</param>
/// <param name="Documents">Opens the documents of a source by index; throws an <see cref="ArgumentException"/> for an unknown source.</param>
/// <param name="Examples">Reads the examples of a source; throws an <see cref="ArgumentException"/> for an unknown source.</param>
public sealed record BuiltInData(string Prefix, Func<string, Func<long, string>> Documents, Func<string, IReadOnlyList<Example>> Examples);
