namespace ProxyTune.Decoding.Audit;

/// <summary>Measures how much of a text's contrast is new compared with earlier texts.</summary>
/// <param name="diversity">See <see cref="AuditSettings.Diversity"/>. 0 ignores earlier texts.</param>
internal sealed class Novelty(double diversity)
{
    private readonly Dictionary<int, double> spent = [];

    /// <summary>The text's contrast in nats, minus what its tokens had in earlier texts.</summary>
    public double Of(IEnumerable<TokenContrast> text) => text.Sum(token =>
        token.Contrast <= 0 ? token.Contrast : Math.Max(0, token.Contrast - (diversity * spent.GetValueOrDefault(token.Id))));

    /// <summary>Counts a text as shown.</summary>
    public void Add(IEnumerable<TokenContrast> text)
    {
        foreach (IGrouping<int, TokenContrast> token in text.Where(token => token.Contrast > 0).GroupBy(token => token.Id))
        {
            spent[token.Key] = spent.GetValueOrDefault(token.Key) + token.Max(occurrence => occurrence.Contrast);
        }
    }
}
