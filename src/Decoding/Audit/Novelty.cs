namespace ProxyTune.Decoding.Audit;

/// <summary>What of a text is new after the texts before it: each found text lowers what resembles it.</summary>
/// <param name="diversity">0 forgets everything.</param>
internal sealed class Novelty(double diversity)
{
    private readonly Dictionary<int, double> spent = [];

    /// <summary>The text's contrast in nats, each token's without what it had in earlier texts.</summary>
    public double Of(IEnumerable<TokenContrast> text) => text.Sum(token =>
        token.Contrast <= 0 ? token.Contrast : Math.Max(0, token.Contrast - (diversity * spent.GetValueOrDefault(token.Id))));

    /// <summary>Spends what a text has shown.</summary>
    public void Add(IEnumerable<TokenContrast> text)
    {
        foreach (IGrouping<int, TokenContrast> token in text.Where(token => token.Contrast > 0).GroupBy(token => token.Id))
        {
            spent[token.Key] = spent.GetValueOrDefault(token.Key) + token.Max(occurrence => occurrence.Contrast);
        }
    }
}
