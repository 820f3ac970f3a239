namespace ProxyTune.Trainer.Evaluation;

/// <summary>
/// How much of a text repeats what the text has said before: seq-rep-n of Welleck et al. 2020 (arXiv 1908.04319), over characters.
/// A compression ratio would not do: answers of one sentence are too short for a compressor, whose header alone weighs more than a loop saves.
/// Words would not do either: a model that loops may never write a space.
/// </summary>
internal static class Repetition
{
    /// <summary>Characters of a piece: longer than the words that any two sentences share, shorter than a sentence that is said again.</summary>
    public const int PieceLength = 8;

    /// <summary>Share of repeated pieces from which a text loops. A sentence that is said twice stays below it; three times reach it.</summary>
    public const double LoopShare = 0.5;

    public static bool Loops(string text) => Share(text) >= LoopShare;

    /// <summary>1 - distinct pieces / pieces, over all pieces of <see cref="PieceLength"/> characters; 0 for a text without two pieces.</summary>
    public static double Share(string text)
    {
        int pieces = text.Length - PieceLength + 1;
        return pieces < 2 ? 0 : 1 - (double)Enumerable.Range(0, pieces).Select(start => text.Substring(start, PieceLength)).Distinct(StringComparer.Ordinal).Count() / pieces;
    }
}
