namespace ProxyTune.Trainer.Evaluation;

/// <summary>An answer of a model.</summary>
/// <param name="Text">The text without white space at either end.</param>
/// <param name="Truncated">True if the limit of tokens ended the answer, not the model.</param>
internal readonly record struct Answer(string Text, bool Truncated)
{
    /// <summary>Whether the text is broken, for any question: the answer was truncated, or it loops.</summary>
    public bool IsDegenerate => Truncated || Repetition.Loops(Text);
}
