using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;
using ProxyTune.Decoding.Serving;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Docs;

/// <summary>Compares the numbers in docs/decoding.md with those of the engine.</summary>
public sealed partial class WorkedExamplesTests : IDisposable
{
    private const string Number = "-?[0-9.]+|-inf";

    // Half of the last printed digit, plus the rounding of single precision.
    private const double Rounding = 0.00005 + 1e-6;

    private static readonly string Document = File.ReadAllText(Path.Combine(Repository.Root, "docs/decoding.md"));
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private readonly ExampleFamily family = new(Rows());

    public static TheoryData<string> Examples => [.. Read()];

    public static TheoryData<string> Methods => [.. FusionMethod.All.Select(method => method.Name)];

    public void Dispose() => family.Dispose();

    [Theory]
    [MemberData(nameof(Examples))]
    public void Example_Recomputed_EqualsTheDocument(string settings)
    {
        Match example = Example().Matches(Document).Single(e => e.Groups["settings"].Value == settings);
        FusionPlan plan = family.Plan(JsonSerializer.Deserialize<AskedFusion>(settings, Json)!);
        using Sequence sequence = family.Ensemble.Start(new(plan, [.. plan.Streams.Select(stream => ExampleFamily.PromptOf(stream.Role))]));
        float[] row = Models.Rows.Forward(family.Ensemble, new Segment(sequence, default))[0];
        TokenTrace trace = sequence.Explain(0, 1, row, Array.IndexOf(row, row.Max()))!;

        Equal(Numbers(example.Groups["z"].Value), row);
        Equal(Numbers(example.Groups["p"].Value), row.Select(score => MathF.Exp(score - Logprobs.Normaliser(row))));
        Assert.Equal(example.Groups["weight"].Captures.Select(name => name.Value), trace.Weights.Keys);
        Equal([.. example.Groups["value"].Captures.Select(value => Parse(value.Value))], trace.Weights.Values);
        Equal([Parse(example.Groups["kl"].Value), Parse(example.Groups["kept"].Value)], [(float)trace.Divergence, trace.Kept]);
        Assert.Equal(example.Groups["gate"].Success, trace.Gated is not null);
        if (trace.Gated is { } gate)
        {
            Equal([Parse(example.Groups["gate"].Value)], [(float)gate.Divergence]);
            Assert.Equal(example.Groups["choice"].Value, gate.ChangesChoice ? "another" : "the same");
        }
    }

    [Fact]
    public void Examples_OfTheDocument_CoverEveryMethod()
    {
        AskedFusion[] read = [.. Read().Select(settings => JsonSerializer.Deserialize<AskedFusion>(settings, Json)!)];
        Assert.Equal(Document.Split("```json").Length - 1, read.Length);
        Assert.Equal(FusionMethod.All.Select(method => method.Name).Order(), read.Select(settings => settings.Method!).Distinct().Order());
    }

    [Theory]
    [MemberData(nameof(Methods))]
    public void MethodTable_Defaults_EqualTheEnginesDefaults(string name)
    {
        FusionMethod method = FusionMethod.Find(name)!;
        string[] cells = Regex.Match(Document, $@"^\| `{name}` \|.*$", RegexOptions.Multiline).Value.Split('|', StringSplitOptions.TrimEntries);
        string mask = method.DefaultMask.Kind switch
        {
            "nucleus" => FormattableString.Invariant($"nucleus {method.DefaultMask.P} of the base"),
            "ratio" => FormattableString.Invariant($"ratio {method.DefaultMask.Ratio}"),
            var kind => kind!,
        };
        Assert.Equal(mask, cells[4]);
        Assert.Equal(method.DefaultAlpha?.ToString(CultureInfo.InvariantCulture) ?? "", cells[3].Split(", ")[^1]);
    }

    [Fact]
    public void ScheduleTable_Factors_EqualTheEnginesFactors()
    {
        MatchCollection schedules = ScheduleLine().Matches(Document);
        Assert.Equal(2, schedules.Count);
        foreach (Match line in schedules)
        {
            AlphaSchedule schedule = JsonSerializer.Deserialize<ScheduleSettings>(line.Groups[1].Value, Json)!.ToSchedule();
            double[] written = Numbers(line.Groups[2].Value);
            Equal(written, written.Select((_, position) => schedule.Factor(position)));
        }
    }

    [Fact]
    public void FieldTable_EachRow_IsTheEngines()
    {
        IEnumerable<string> rows = FusionTable.Fields.Select(field => $"| `{field.Name}` | {field.Accepts} | {field.Default} | {field.Methods} | {field.Meaning} |");

        Assert.Contains($"| field | accepts | default | methods | meaning |\n|---|---|---|---|---|\n{string.Join('\n', rows)}\n\n", Document, StringComparison.Ordinal);
    }

    [Fact]
    public void KindTables_EachRow_NamesTheKindAndItsFields()
    {
        IEnumerable<(string Name, string[] Fields)> kinds =
        [
            .. MaskSettings.Table.Kinds.Select(kind => (kind.Name, (string[])[.. kind.Required, .. kind.Optional])),
            .. ScheduleSettings.Table.Kinds.Select(kind => (kind.Name, (string[])[.. kind.Required, .. kind.Optional])),
        ];
        foreach ((string name, string[] fields) in kinds)
        {
            Match line = Regex.Match(Document[Document.IndexOf("## Masks", StringComparison.Ordinal)..], $@"^\| `{name}` \|.*\|(?<fields>[^|]*)\|$", RegexOptions.Multiline);
            Assert.True(line.Success, name);
            Assert.Equal(fields, Regex.Matches(line.Groups["fields"].Value, "`(\\w+)`(?=,|;|:| )").Select(field => field.Groups[1].Value).Where(field => field is not ("base" or "expert")));
        }
    }

    private static IEnumerable<string> Read() => Example().Matches(Document).Select(example => example.Groups["settings"].Value);

    private static Dictionary<string, float[]> Rows() => MemberLine().Matches(Document).ToDictionary(
        line => line.Groups[1].Value, line => Numbers(line.Groups[2].Value).Select(score => (float)score).ToArray());

    private static void Equal(double[] written, IEnumerable<float> computed)
    {
        float[] actual = [.. computed];
        Assert.Equal(written.Length, actual.Length);
        Assert.All(written.Zip(actual), pair => Assert.True(
            pair.First == pair.Second || Math.Abs(pair.First - pair.Second) <= Rounding, $"{pair.First} is written, {pair.Second} computed."));
    }

    private static double[] Numbers(string cells) => [.. cells.Split('|', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(Parse)];

    private static double Parse(string number) => number == "-inf" ? double.NegativeInfinity : double.Parse(number, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"```json\n(?<settings>[^`]*)\n```\n\n\| \| red \| green \| blue \|\n[|-]+\n\| z \|(?<z>.*)\|\n\| P \|(?<p>.*)\|\n\nTrace: weights (none|(?<weight>\w+) (?<value>" + Number + @")(, (?<weight>\w+) (?<value>" + Number + @"))*); KL (?<kl>[0-9.]+); kept (?<kept>\d)(; gate KL (?<gate>[0-9.]+), (?<choice>.*) choice)?\.\n")]
    private static partial Regex Example();

    [GeneratedRegex(@"^\| ([a-z][a-z ]+[a-z]) ((?:\| (?:" + Number + @") ){3}\|)$", RegexOptions.Multiline)]
    private static partial Regex MemberLine();

    [GeneratedRegex(@"^\| `(\{[^`]*\})` (\|[0-9.| ]+\|)$", RegexOptions.Multiline)]
    private static partial Regex ScheduleLine();
}
