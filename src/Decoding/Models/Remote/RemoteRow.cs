namespace ProxyTune.Decoding.Models;

/// <summary>The log-probabilities that a remote gave for one position.</summary>
/// <param name="Ids">The tokens that are known, each once.</param>
/// <param name="Logprobs">One for each.</param>
/// <param name="MaxMissing">The largest log-probability that any other token may have.</param>
/// <param name="Dropped">How many named tokens have no id here.</param>
internal sealed record RemoteRow(IReadOnlyList<int> Ids, IReadOnlyList<float> Logprobs, float MaxMissing, int Dropped)
{
    // A probability of 0, which JSON cannot say as a logarithm: -9999 at OpenAI and here, the lowest float at llama.cpp.
    private const double Impossible = -1000;

    /// <param name="asked">How many of the likeliest were asked for. A remote may add the token that it drew, which says nothing of the others.</param>
    public static RemoteRow Of(IReadOnlyList<RemoteToken> named, int asked, RemoteVocabulary vocabulary)
    {
        double maxMissing = named.Select(token => token.Logprob).OrderDescending().Take(asked).Last();
        Dictionary<int, float> known = [];
        int dropped = 0;
        foreach (RemoteToken token in named)
        {
            if (vocabulary.Find(token) is not { } id)
            {
                // It is one of the tokens without an id, and so are those that share its name and that the remote left out for it.
                maxMissing = Math.Max(maxMissing, token.Logprob);
                dropped++;
            }
            else if (token.Logprob > Impossible)
            {
                known.TryAdd(id, (float)token.Logprob);
            }
        }

        return new([.. known.Keys], [.. known.Values], (float)maxMissing, dropped);
    }

    public void Write(Span<float> row)
    {
        row.Fill(float.NegativeInfinity);
        for (int i = 0; i < Ids.Count; i++)
        {
            row[Ids[i]] = Logprobs[i];
        }
    }
}
