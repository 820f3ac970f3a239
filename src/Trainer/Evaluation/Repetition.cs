namespace ProxyTune.Trainer.Evaluation;

/// <summary>
/// The share of a text that repeats earlier parts of it: seq-rep-n of Welleck et al. 2020 (arXiv 1908.04319), over characters.
/// A compression ratio is unsuitable: an answer of one sentence is so short that a compressor's header outweighs the gain from a loop.
/// Words are unsuitable too: a model that loops may never write a space.
/// </summary>
internal static class Repetition
{
    /// <summary>The number of characters of a piece. It is longer than the words that any two sentences share, and shorter than a repeated sentence.</summary>
    public const int PieceLength = 8;

    /// <summary>A text loops from this share of repeated pieces on. A sentence that occurs twice stays below it, one that occurs three times reaches it.</summary>
    public const double LoopShare = 0.5;

    public static bool Loops(string text) => Share(text) >= LoopShare;

    /// <summary>1 - distinct pieces / pieces, over all pieces of <see cref="PieceLength"/> characters; 0 for a text without two pieces.</summary>
    public static double Share(string text)
    {
        int pieces = text.Length - PieceLength + 1;
        return pieces < 2 ? 0 : 1 - (double)Enumerable.Range(0, pieces).Select(start => text.Substring(start, PieceLength)).Distinct(StringComparer.Ordinal).Count() / pieces;
    }
}
