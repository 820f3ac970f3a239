namespace ProxyTune.Trainer.Evaluation;

/// <summary>What a model answered.</summary>
/// <param name="Text">Without white space at either end.</param>
/// <param name="Truncated">The limit of tokens ended it, not the model.</param>
internal readonly record struct Answer(string Text, bool Truncated)
{
    /// <summary>Whether it is broken as text, whatever was asked: it never came to its end, or it loops.</summary>
    public bool IsDegenerate => Truncated || Repetition.Loops(Text);
}
