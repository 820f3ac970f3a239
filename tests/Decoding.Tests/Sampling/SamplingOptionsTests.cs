using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Tests.Sampling;

public sealed class SamplingOptionsTests
{
    private static readonly (string Field, string Value, string Range, SamplingOptions Options)[] Wrong =
    [
        ("temperature", "-0.5", "from 0 to 2", new() { Temperature = -0.5f }),
        ("temperature", "2.5", "from 0 to 2", new() { Temperature = 2.5f }),
        ("temperature", "NaN", "from 0 to 2", new() { Temperature = float.NaN }),
        ("top_k", "-1", "from 0 to 2147483647", new() { TopK = -1 }),
        ("top_p", "0", "above 0 and at most 1", new() { TopP = 0 }),
        ("top_p", "1.5", "above 0 and at most 1", new() { TopP = 1.5f }),
        ("min_p", "-1", "from 0 to 1", new() { MinP = -1 }),
        ("min_p", "2", "from 0 to 1", new() { MinP = 2 }),
        ("presence_penalty", "3", "from -2 to 2", new() { PresencePenalty = 3 }),
        ("presence_penalty", "-3", "from -2 to 2", new() { PresencePenalty = -3 }),
        ("frequency_penalty", "-3", "from -2 to 2", new() { FrequencyPenalty = -3 }),
        ("frequency_penalty", "3", "from -2 to 2", new() { FrequencyPenalty = 3 }),
        ("repetition_penalty", "0", "above 0", new() { RepetitionPenalty = 0 }),
        ("repetition_penalty", "Infinity", "above 0", new() { RepetitionPenalty = float.PositiveInfinity }),
        ("logit_bias", "32", "a token id from 0 to 31", new() { LogitBias = new Dictionary<int, float> { [32] = 0 } }),
        ("logit_bias", "-1", "a token id from 0 to 31", new() { LogitBias = new Dictionary<int, float> { [-1] = 0 } }),
        ("logit_bias", "101", "from -100 to 100", new() { LogitBias = new Dictionary<int, float> { [1] = 101 } }),
        ("logit_bias", "-101", "from -100 to 100", new() { LogitBias = new Dictionary<int, float> { [1] = -101 } }),
    ];

    private static readonly SamplingOptions[] Extreme =
    [
        new() { Temperature = 0, TopP = float.Epsilon, PresencePenalty = -2, FrequencyPenalty = -2, RepetitionPenalty = float.Epsilon },
        new() { Temperature = 2, TopK = int.MaxValue, TopP = 1, MinP = 1, PresencePenalty = 2, FrequencyPenalty = 2 },
        new() { RepetitionPenalty = float.MaxValue, LogitBias = new Dictionary<int, float> { [0] = -100, [31] = 100 } },
    ];

    [Fact]
    public void Check_ValueOutOfRange_NamesFieldValueAndRange()
    {
        foreach ((string field, string value, string range, SamplingOptions options) in Wrong)
        {
            EngineException e = Assert.Throws<EngineException>(() => options.Check(32));
            Assert.Equal((EngineError.InvalidValue, field), (e.Error, e.Field));
            Assert.Equal($"{field} is {value}; it must be {range}.", e.Message);
        }
    }

    [Fact]
    public void Check_ValuesAtTheirBounds_ArePassed() => Array.ForEach(Extreme, options => options.Check(32));

    [Fact]
    public void Check_Defaults_Passes() => new SamplingOptions().Check(32);
}
