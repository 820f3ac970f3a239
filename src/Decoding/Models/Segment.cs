namespace ProxyTune.Decoding.Models;

/// <summary>Tokens to append to one sequence, and how many of the newest positions' logits are wanted.</summary>
/// <param name="Tokens">May be empty when the sequence still has its prompt to compute.</param>
/// <param name="Rows">At least 1, at most the number of positions that this call computes.</param>
public readonly record struct Segment(Sequence Sequence, ReadOnlyMemory<int> Tokens, int Rows = 1);
