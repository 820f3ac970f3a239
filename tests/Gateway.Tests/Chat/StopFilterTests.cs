using System.Diagnostics;
using CsCheck;
using ProxyTune.Gateway.Answers;

namespace ProxyTune.Gateway.Tests.Chat;

public class StopFilterTests
{
    // Few letters, so that stop strings overlap, repeat themselves and contain each other.
    private static readonly Gen<string> Text = Gen.String[Gen.Char['a', 'c'], 0, 20];
    private static readonly Gen<string[]> Stops = Gen.String[Gen.Char['a', 'c'], 1, 4].Array[0, 3];

    [Fact]
    public void Append_AnyTextInAnyPieces_GivesTheTextBeforeTheFirstStopThatCompletes() =>
        Gen.Select(Text, Stops, Gen.Int[1, 5].Array[1, 20]).Sample((text, stops, cuts) =>
        {
            StopFilter filter = new(stops);
            string seen = "";
            foreach (string piece in Pieces(text, cuts))
            {
                seen += filter.Append(piece);
                Assert.StartsWith(seen, Oracle(text, stops), StringComparison.Ordinal);
            }

            Assert.Equal(Oracle(text, stops), seen + filter.Flush());
            Assert.Equal(stops.Any(stop => text.Contains(stop, StringComparison.Ordinal)), filter.Stopped);
        });

    [Fact]
    public void Append_BeginningOfAStop_IsHeldBackUntilItCannotComplete()
    {
        StopFilter filter = new(["###"]);

        Assert.Equal("one ", filter.Append("one ##"));
        Assert.Equal("## two", filter.Append(" two"));
    }

    /// <summary>Long stop strings that nearly complete at every letter: the time of a letter must not grow with their length.</summary>
    [Fact]
    public void Append_LongStopsThatNearlyComplete_CostsTheSameAsShortOnes()
    {
        string text = new('a', 20_000);
        double Seconds(int length)
        {
            StopFilter filter = new([.. Enumerable.Range(0, 4).Select(i => new string('a', length - 1 - i) + "b")]);
            long start = Stopwatch.GetTimestamp();
            foreach (char letter in text)
            {
                filter.Append(letter.ToString());
            }

            return Stopwatch.GetElapsedTime(start).TotalSeconds;
        }

        Seconds(10);
        double small = Enumerable.Range(0, 5).Min(_ => Seconds(10)), large = Enumerable.Range(0, 5).Min(_ => Seconds(1000));
        Assert.True(large < 10 * small, $"{large} s against {small} s");
    }

    [Fact]
    public void Append_AfterAStop_GivesNothing()
    {
        StopFilter filter = new(["."]);

        Assert.Equal("end", filter.Append("end. More"));
        Assert.Equal("", filter.Append(" text"));
        Assert.Equal("", filter.Flush());
    }

    private static IEnumerable<string> Pieces(string text, int[] cuts)
    {
        for (int start = 0, i = 0; start < text.Length; i++)
        {
            int length = Math.Min(cuts[i % cuts.Length], text.Length - start);
            yield return text.Substring(start, length);
            start += length;
        }
    }

    /// <summary>Letter by letter: the first position at which some stop string ends; the longest one that ends there.</summary>
    private static string Oracle(string text, string[] stops)
    {
        for (int end = 1; end <= text.Length; end++)
        {
            string prefix = text[..end];
            string? stop = stops.Where(candidate => prefix.EndsWith(candidate, StringComparison.Ordinal)).MaxBy(candidate => candidate.Length);
            if (stop is not null)
            {
                return prefix[..^stop.Length];
            }
        }

        return text;
    }
}
