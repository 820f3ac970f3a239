using System.Numerics;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Decoding.Tests.Text;

/// <summary>Places where the language is not what it seems. The expected texts were made with jinja2 3.1.6.</summary>
public sealed class TemplateTests
{
    [Theory]
    [InlineData("{% for x in [1] %}{% break %}{% else %}E{% endfor %}", "E")]
    [InlineData("{% for x in [1] %}{% continue %}{% else %}E{% endfor %}", "E")]
    [InlineData("{% for x in [1, 2] %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{% else %}E{% endfor %}", "1")]
    [InlineData("{% macro m() %}{{ name }}{% endmacro %}{{ m() }}{% set name = 2 %}{{ m() }}", "2")]
    [InlineData("{{ name }}{% macro m() %}{{ name }}{% endmacro %}{{ m() }}{% set name = 2 %}{{ m() }}", "WorldWorld2")]
    [InlineData("{% set x = 0 %}{% for i in [1, 2] %}{{ x }}{% set x = x + i %}{{ x }};{% endfor %}{{ x }}", "01;02;0")]
    [InlineData("{% if no %}{% set name = 'x' %}{% endif %}{{ name }}", "World")]
    [InlineData("{{ -2 ** n }}{{ -2 ** 2 }}", "-44")]
    [InlineData("{{ '%g' % 99999.95 }} {{ '{:.17g}'.format(1e-7) }} {{ '{:<05}'.format(7) }}", "99999.9 9.9999999999999995e-08 70000")]
    [InlineData("{{ 2.5 | round }} {{ 2.675 | round(2) }} {{ 1250 | round(-2) }} {{ 7 // -2 }} {{ -7 % 3 }}", "2.0 2.67 1200 -4 2")]
    [InlineData("{{ 'ß ﬁ'.upper() }} {{ 'ΑΣ'.lower() }} {{ '🙂a'[::-1] }} {{ '🙂a' | length }}", "SS FI ας a🙂 2")]
    [InlineData("{{ [1.0, 'it\\'s', none, 1e16, '\\x7f'] }}", "[1.0, \"it's\", None, 1e+16, '\\x7f']")]
    [InlineData("{% set g = [1] | map('string') %}{{ g | list }}{{ g | list }}", "['1'][]")]
    [InlineData("{{ {'items': 1}.items is callable }}{{ {'items': 1}['items'] }}", "True1")]
    public void Render_Quirk_EqualsJinja(string template, string expected) =>
        Assert.Equal(expected, Template.Parse(template).Render(new Dictionary<string, object> { ["name"] = "World", ["no"] = false, ["n"] = (BigInteger)2 }, TimeProvider.System));

    [Theory]
    [InlineData("{{ [].append(1) }}")]
    [InlineData("{{ ''.__class__.__mro__ }}")]
    [InlineData("{{ range(100001) }}")]
    [InlineData("{{ missing.x }}")]
    [InlineData("{{ 'a' + 1 }}")]
    public void Render_WhatTheSandboxOrPythonRefuses_Fails(string template) =>
        Assert.Throws<TemplateException>(() => Template.Parse(template).Render(new Dictionary<string, object>(), TimeProvider.System));
}
