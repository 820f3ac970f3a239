using System.Text;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Tests.Models;

public sealed class RemoteAnswerTests
{
    [Fact]
    public void Read_CompletionShape_GivesTextAndLogprob() => Assert.Equal(
        [new(" a", -0.5), new("b", -2)],
        Read("""{"choices": [{"text": " a", "logprobs": {"tokens": [" a"], "top_logprobs": [{" a": -0.5, "b": -2.0}]}}]}"""));

    [Fact]
    public void Read_ChatShape_GivesTextLogprobIdAndBytes()
    {
        RemoteToken token = Read("""
            {"choices": [{"logprobs": {"content": [{"token": "x", "logprob": 0,
             "top_logprobs": [{"id": 12, "token": "\ufffd", "bytes": [228], "logprob": 0.0001}, {"token": "y", "bytes": null, "logprob": -3}]}]}}]}
            """)[0];
        Assert.Equal((12, "\uFFFD", 0), (token.Id, token.Text, token.Logprob));
        Assert.Equal([228], token.Bytes);
    }

    [Theory]
    [InlineData("<html>busy</html>", "no JSON")]
    [InlineData("[1]", "another shape")]
    [InlineData("{}", "another shape")]
    [InlineData("""{"choices": []}""", "without a choice")]
    [InlineData("""{"choices": [{"text": "a"}]}""", "without log-probabilities")]
    [InlineData("""{"choices": [{"text": "a", "logprobs": null}]}""", "without log-probabilities")]
    [InlineData("""{"choices": [{"text": "a", "logprobs": {"top_logprobs": [null]}}]}""", "without log-probabilities")]
    [InlineData("""{"choices": [{"text": "", "logprobs": {"top_logprobs": []}, "finish_reason": "stop"}]}""", "ignore_eos")]
    [InlineData("""{"choices": [{"logprobs": {"top_logprobs": [{"a": "much"}]}}]}""", "another shape")]
    [InlineData("""{"choices": [{"logprobs": {"top_logprobs": [{"a": 0.7}]}}]}""", "log-probability of 0.7")]
    [InlineData("""{"choices": [{"logprobs": {"content": [{"top_logprobs": [{"logprob": -1}]}]}}]}""", "another shape")]
    [InlineData("""{"choices": [{"logprobs": {"content": [{"top_logprobs": [{"token": "a", "bytes": [256], "logprob": -1}]}]}}]}""", "bytes")]
    public void Read_WrongAnswer_NamesTheFault(string body, string words) =>
        Assert.Contains(words, Assert.Throws<FormatException>(() => Read(body)).Message, StringComparison.Ordinal);

    private static IReadOnlyList<RemoteToken> Read(string body) => RemoteAnswer.Read(Encoding.UTF8.GetBytes(body));
}
