using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Tests.Sampling;

public sealed class SamplingOptionsTests
{
    public static TheoryData<string, string, SamplingOptions> Wrong => new()
    {
        { "temperature", "-0.5", new() { Temperature = -0.5f } },
        { "temperature", "2.5", new() { Temperature = 2.5f } },
        { "temperature", "NaN", new() { Temperature = float.NaN } },
        { "top_k", "-1", new() { TopK = -1 } },
        { "top_p", "0", new() { TopP = 0 } },
        { "top_p", "1.5", new() { TopP = 1.5f } },
        { "min_p", "-1", new() { MinP = -1 } },
        { "presence_penalty", "3", new() { PresencePenalty = 3 } },
        { "frequency_penalty", "-3", new() { FrequencyPenalty = -3 } },
        { "repetition_penalty", "0", new() { RepetitionPenalty = 0 } },
        { "logit_bias", "32", new() { LogitBias = new Dictionary<int, float> { [32] = 0 } } },
        { "logit_bias", "101", new() { LogitBias = new Dictionary<int, float> { [1] = 101 } } },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void Check_ValueOutOfRange_NamesFieldAndValue(string field, string value, SamplingOptions options)
    {
        EngineException e = Assert.Throws<EngineException>(() => options.Check(32));
        Assert.Equal((EngineError.InvalidValue, field), (e.Error, e.Field));
        Assert.Contains(value, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Check_Defaults_ArePassed() => new SamplingOptions().Check(32);
}
