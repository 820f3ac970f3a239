namespace ProxyTune.Decoding.Models;

/// <summary>The log-probabilities that a remote returned for one position.</summary>
/// <param name="Ids">The ids of the returned tokens, each once.</param>
/// <param name="Logprobs">The log-probability of each of these tokens.</param>
/// <param name="MaxMissing">An upper bound of the log-probabilities of all other tokens.</param>
/// <param name="Dropped">The number of returned tokens without an id here.</param>
internal sealed record RemoteRow(IReadOnlyList<int> Ids, IReadOnlyList<float> Logprobs, float MaxMissing, int Dropped)
{
    // Log-probabilities below this stand for a probability of 0, since JSON has no minus infinity: OpenAI and this server send -9999, llama.cpp the lowest float.
    private const double Impossible = -1000;

    /// <param name="asked">The number of requested likeliest tokens. A remote may add the token that it drew, which does not bound the others.</param>
    public static RemoteRow Of(IReadOnlyList<RemoteToken> named, int asked, RemoteVocabulary vocabulary)
    {
        double maxMissing = named.Select(token => token.Logprob).OrderDescending().Take(asked).Last();
        Dictionary<int, float> known = [];
        int dropped = 0;
        foreach (RemoteToken token in named)
        {
            if (vocabulary.Find(token) is not { } id)
            {
                // The missing tokens include this one, and tokens of the same name that the remote merged with it.
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
